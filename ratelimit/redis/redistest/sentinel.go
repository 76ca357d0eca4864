package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// Sentinel starts a sentinel that watches a master by that name, with more lines of
// configuration if given. It makes a replica the master when the master is dead for half
// a second.
func Sentinel(t testing.TB, name string, master *Server, lines ...string) *Server {
	t.Helper()
	s := newServer(t)
	_, port, _ := net.SplitHostPort(s.Address)
	host, masterPort, _ := net.SplitHostPort(master.Address)
	config := fmt.Sprintf("port %[1]s\nbind 127.0.0.1\ndir %[2]s\n"+
		"sentinel monitor %[3]s %[4]s %[5]s 1\nsentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 2000\n",
		port, s.dir, name, host, masterPort)
	for _, line := range lines {
		config += line + "\n"
	}
	file := filepath.Join(s.dir, "sentinel.conf") // which the sentinel writes to
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.arguments = []string{file, "--sentinel"}
	s.Restart()
	return s
}
