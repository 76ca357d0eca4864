// Package redistest starts real Redis servers for tests. Where redis-server is not
// installed it skips the test.
package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Server is a redis-server that can be killed and started again, with nothing kept.
type Server struct {
	Address string

	t         testing.TB
	arguments []string
	dir       string
	process   *exec.Cmd
}

// Start starts a redis-server on loopback, with more arguments if given. It skips the test where
// there is none.
func Start(t testing.TB, arguments ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed: apt install redis-server")
	}
	s := newServer(t)
	_, port, _ := net.SplitHostPort(s.Address)
	s.arguments = append([]string{
		"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir,
	}, arguments...)
	s.Restart()
	return s
}

func newServer(t testing.TB) *Server {
	s := &Server{Address: FreeAddress(t), t: t, dir: t.TempDir()}
	t.Cleanup(s.Kill)
	return s
}

// FreeAddress is one on loopback with a port that is free, as is the port 10000 above
// it, where a cluster's nodes talk.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(10000) // the kernel gives these to nobody who asks for any
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if isFree(address) && isFree(fmt.Sprintf("127.0.0.1:%d", port+10000)) {
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

func isFree(address string) bool {
	l, err := net.Listen("tcp", address)
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

// Restart starts the server again at its address, and returns once it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.process = exec.Command("redis-server", s.arguments...)
	output, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer output.Close()
	s.process.Stdout, s.process.Stderr = output, output
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	client := s.Client()
	defer client.Close()
	for range 500 {
		if err := client.Ping(s.t.Context()).Err(); err == nil || strings.HasPrefix(err.Error(), "NOAUTH") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	s.t.Fatalf("redis-server does not answer:\n%s", log)
}

// Kill kills the server: all that it knew is gone.
func (s *Server) Kill() {
	if s.process != nil {
		_ = s.process.Process.Kill() // it may be dead already
		_ = s.process.Wait()
		s.process = nil
	}
}

// Client returns a client of the server. Whoever asks for it closes it.
func (s *Server) Client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: s.Address, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1})
}

// Cluster starts three masters that share all slots, and returns their addresses.
func Cluster(t testing.TB) (addresses []string) {
	t.Helper()
	for range 3 {
		addresses = append(addresses, Start(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf").Address)
	}
	output, err := exec.Command("redis-cli", append([]string{"--cluster", "create", "--cluster-yes"}, addresses...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("creating the cluster: %v\n%s", err, output)
	}
	for _, address := range addresses { // each comes to know by itself
		awaitClusterNode(t, address)
	}
	return addresses
}

func awaitClusterNode(t testing.TB, address string) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: address, DisableIdentity: true})
	defer client.Close()
	for range 500 {
		if info, err := client.ClusterInfo(t.Context()).Result(); err == nil && strings.Contains(info, "cluster_state:ok") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("the cluster does not come up at %s", address)
}

// MemoryUsed is how many bytes the server uses.
func MemoryUsed(t testing.TB, client *goredis.Client) int {
	t.Helper()
	info, err := client.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("redis does not tell its memory")
	return 0
}
