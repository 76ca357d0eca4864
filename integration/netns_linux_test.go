package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// netns is a network of its own, as on a host of its own. It has no name, and lives as
// long as a process that ends with this one, however this one ends.
type netns struct {
	t   *testing.T
	pid int
}

// newNetns makes a network of its own. Where that cannot be done the test is skipped.
func newNetns(t *testing.T) *netns {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, program := range []string{"unshare", "nsenter", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("network namespaces need %s, which is not here", program)
		}
	}
	holder := exec.Command("unshare", "--net", "sh", "-c", "echo up; exec cat")
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = holder.Wait()
	})
	if _, err := io.ReadFull(stdout, make([]byte, len("up\n"))); err != nil {
		t.Skip("network namespaces are not allowed here")
	}
	n := &netns{t, holder.Process.Pid}
	n.run("ip", "link", "set", "lo", "up")
	return n
}

// command is the command within the network; it becomes it, pid and all.
func (n *netns) command(cmd *exec.Cmd) *exec.Cmd {
	within := exec.Command("nsenter", append([]string{"--net", "--target", fmt.Sprint(n.pid), "--", cmd.Path}, cmd.Args[1:]...)...)
	within.Dir, within.Env = cmd.Dir, cmd.Env
	return within
}

func (n *netns) run(name string, args ...string) {
	n.t.Helper()
	if output, err := n.command(exec.Command(name, args...)).CombinedOutput(); err != nil {
		n.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
}

// join lays a cable between two networks, with an address (and the length of its prefix)
// at either end.
func join(t *testing.T, a *netns, addressA string, b *netns, addressB string) {
	t.Helper()
	endA, endB := fmt.Sprintf("v%dto%d", a.pid%10000, b.pid%10000), fmt.Sprintf("v%dto%d", b.pid%10000, a.pid%10000)
	output, err := exec.Command("ip", "link", "add", endA, "netns", fmt.Sprint(a.pid),
		"type", "veth", "peer", "name", endB, "netns", fmt.Sprint(b.pid)).CombinedOutput()
	if err != nil {
		t.Fatalf("ip link add: %v\n%s", err, output)
	}
	a.run("ip", "address", "add", addressA, "dev", endA)
	b.run("ip", "address", "add", addressB, "dev", endB)
	a.run("ip", "link", "set", endA, "up")
	b.run("ip", "link", "set", endB, "up")
}

// within calls f with the sockets that it opens in this network.
func (n *netns) within(f func() error) error {
	done := make(chan error)
	go func() {
		// not unlocked: so the thread, which is in this network now, ends with the goroutine
		runtime.LockOSThread()
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", n.pid))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// dial connects from this network, from one of its addresses if that is not empty. The
// address must be a number: a name could be looked up on another thread.
func (n *netns) dial(ctx context.Context, from, to string) (conn net.Conn, err error) {
	err = n.within(func() error {
		dialer := net.Dialer{Timeout: 2 * time.Second}
		if from != "" {
			dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		conn, err = dialer.DialContext(ctx, "tcp", to)
		return err
	})
	return conn, err
}

// listen listens in this network.
func (n *netns) listen(address string) net.Listener {
	n.t.Helper()
	var listener net.Listener
	if err := n.within(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	return listener
}
