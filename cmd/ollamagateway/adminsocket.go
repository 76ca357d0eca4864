package ollamagateway

import (
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// longestSocket is the longest path of a Unix socket, in bytes, that all systems take:
// macOS 103, Linux 107.
const longestSocket = 103

// AdminSocket is the path of the socket of Caddy's admin API; empty if it would be too
// long for one, and there is no admin API then: a port would be open to every user of
// this machine, and a folder for all, such as /tmp, is not ours alone.
func (s *setup) AdminSocket() string {
	socket := filepath.Join(s.StateDir, "admin.sock")
	if len(socket) > longestSocket {
		return ""
	}
	return socket
}

// checkAlone fails if a gateway has the state folder already.
func (s *setup) checkAlone() error {
	if s.AdminSocket() == "" {
		return nil // then only the audit log's lock tells
	}
	conn, err := net.DialTimeout("unix", s.AdminSocket(), time.Second)
	if err != nil {
		return nil
	}
	_ = conn.Close()
	return fmt.Errorf("a gateway is running already with the state folder %s: use that one, or give this one a folder and an address of its own with --state-dir and --listen", s.StateDir)
}

// comesFrom is the address from which this machine's own clients come to the gateway.
func (s *setup) comesFrom() string {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(s.reachableHost(), s.Port), time.Second)
	if err != nil {
		return "127.0.0.1"
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(conn.LocalAddr().String()) // of TCP, which has both
	return host
}
