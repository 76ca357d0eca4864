package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a gateway that runs as a process of its own.
type process struct {
	cmd    *exec.Cmd
	output lockedBuffer
	exited chan struct{} // closed when the process has ended
}

// startProcess runs the gateway's binary until the test ends. Its home is dir.
func startProcess(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	return startProcessWith(t, nil, dir, args...)
}

// startProcessWith is startProcess with open files, from file descriptor 3 on.
func startProcessWith(t *testing.T, files []*os.File, dir string, args ...string) *process {
	t.Helper()
	cmd := gatewayCommand(t, dir, args...)
	cmd.ExtraFiles = files
	return startCommand(t, cmd)
}

// startCommand runs the command until the test ends.
func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.stop()
		if output := p.output.String(); strings.Contains(output, "DATA RACE") || strings.Contains(output, "panic:") {
			t.Errorf("the gateway has a data race or a panic:\n%s", output)
		}
	})
	return p
}

// stop ends the process: gently, and after 5 s by force.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// hangs ends a process that does not do something, and tells what it does instead.
func (p *process) hangs(what string) error {
	_ = p.cmd.Process.Signal(syscall.SIGABRT) // which has Go print all goroutines
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
	}
	said := p.output.String()
	if i := strings.Index(said, "SIGABRT: abort"); i >= 0 {
		said = said[i:]
	}
	return fmt.Errorf("%s takes longer than %v; the gateway's goroutines:\n%s", what, patience, said)
}

// patience is how long a test waits for what usually takes milliseconds, and must end.
const patience = time.Minute

// insist asks the process for something until there is an answer. Caddy with its admin API
// on a Unix socket may leave a reload without one: to listen anew, it makes the socket that
// both listeners share blocking for a moment (File and Fd of Go's net and os). If the old one
// asks for a connection in that moment, it sleeps in the kernel, cannot be closed, and the
// next connection is either its, and dropped, or waits for a lock that is held meanwhile. The
// connection after that ends it.
func (p *process) insist(what string, ask func(ctx context.Context) error) error {
	const tries = 3
	for i := 1; ; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), patience/tries)
		err := ask(ctx)
		late := ctx.Err() != nil
		cancel()
		switch {
		case err == nil:
			return nil
		case !late && !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "connection reset"):
			return err
		case i < tries:
		case late:
			return p.hangs(what)
		default:
			return err
		}
	}
}

// gatewayCommand is the gateway's binary with a home folder of its own.
func gatewayCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	return gatewayCommandIn(context.Background(), t, dir, args...)
}

// gatewayCommandIn is gatewayCommand that is killed when ctx ends.
func gatewayCommandIn(ctx context.Context, t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir+"/data", "XDG_CONFIG_HOME="+dir+"/config")
	return cmd
}

// awaitListening waits until the process accepts connections, there and wherever else its
// configuration says: Caddy opens one listener after another.
func (p *process) awaitListening(t *testing.T, address string) {
	t.Helper()
	p.awaitListeningBy(t, address, func() (net.Conn, error) { return net.DialTimeout("tcp", address, time.Second) })
}

// awaitListeningBy does the same for an address that is to be dialled in a way of its own.
func (p *process) awaitListeningBy(t *testing.T, address string, dial func() (net.Conn, error)) {
	t.Helper()
	await(t, "listening on "+address, func() error {
		select {
		case <-p.exited:
			t.Fatalf("the gateway ended:\n%s", p.output.String())
		default:
		}
		conn, err := dial()
		if err != nil {
			return err
		}
		conn.Close()
		return p.serves()
	})
}

// serves is an error as long as a gateway that runs a Caddyfile has not started all of it.
func (p *process) serves() error {
	if p.cmd.Args[1] == "run" && !strings.Contains(p.output.String(), "serving initial configuration") {
		return errors.New("it does not serve yet")
	}
	return nil
}

// await asks until there is no error any more.
func await(t *testing.T, what string, ask func() error) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// freePort is a loopback port that is free, that no test gets a second time, and that the
// kernel gives to nobody who asks for any: until a gateway listens there, a connection or
// another test could get it, and Caddy shares a port without a word.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := fmt.Sprint(20000 + rand.IntN(12000))
		if _, taken := givenPorts.LoadOrStore(port, true); taken {
			continue
		}
		if listener, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

var givenPorts sync.Map // that freePort has given

// lockedBuffer is a bytes.Buffer that can be read while a process writes to it.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
