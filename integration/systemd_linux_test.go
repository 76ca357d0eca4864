package integration

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// systemd's own program starts the gateway by the commands of the unit, on a listener as that
// of the socket unit, and hears from it what it hears from a service of Type=notify.
func TestSystemdActivatesTheGateway(t *testing.T) {
	activate, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skip("there is no systemd-socket-activate here")
	}
	upstream := ollamatest.NewServer(ollamatest.Says("hello", "Hello", " world"))
	t.Cleanup(upstream.Close)
	g := prepareGateway(t, upstream.Address())
	g.isGiven(freePort(t))
	notices := listenToNotices(t, g.file("notify.sock"))
	service := readUnit(t, "caddy-ollama.service")
	if service.one(t, "Type") != "notify" {
		t.Fatal("the service is of another type")
	}

	args := []string{"--listen=" + g.address()}
	start := g.commandOf(service.one(t, "ExecStart"))
	for _, variable := range append(start.Environ(), "NOTIFY_SOCKET="+g.file("notify.sock")) {
		if name, _, _ := strings.Cut(variable, "="); slices.Contains([]string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "NOTIFY_SOCKET"}, name) {
			args = append(args, "--setenv="+variable)
		}
	}
	g.process = startCommand(t, exec.Command(activate, append(args, start.Args...)...))
	await(t, "systemd's listener", func() error {
		if output := g.output.String(); !strings.Contains(output, "Listening on") {
			return errors.New(output)
		}
		return nil
	})
	if output := g.output.String(); strings.Contains(output, "serving") {
		t.Errorf("the gateway runs before anybody asks:\n%s", output)
	}

	first := newSide(g, "/v1/chat/completions", false)
	first.request(first.clients[0]) // which is what starts it
	notices.next("READY=1")
	for i := range 3 {
		g.writeConfig(first.edition(i + 1))
		if output, err := g.commandOf(service.one(t, "ExecReload")).CombinedOutput(); err != nil {
			t.Errorf("reload: %v\n%s", err, output)
		}
		notices.next("RELOADING=1")
		notices.next("READY=1")
		if err := first.meets(upstream, i+1, first.clients[i+1]); err != nil {
			t.Errorf("after a reload: %v", err)
		}
	}
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	notices.next("STOPPING=1")
	within(t, "the gateway's end", func() struct{} { return <-g.exited })
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the gateway ends with %d:\n%s", code, g.output.String())
	}
	if n := first.lost.Load(); n > 0 {
		t.Errorf("%d requests were lost", n)
	}
}

// commandOf is a command of the unit, with the files that are here.
func (g *gateway) commandOf(line string) *exec.Cmd {
	line = strings.NewReplacer("/etc/caddy-ollama/gateway.Caddyfile", g.configFile(), "/run/caddy-ollama", g.dir).Replace(line)
	args := strings.Fields(line)
	if args[0] != "/usr/local/bin/caddy" {
		g.t.Fatalf("%s is not the gateway", args[0])
	}
	return gatewayCommand(g.t, g.dir, args[1:]...)
}

// noticeSocket is where systemd hears from its services.
type noticeSocket struct {
	t *testing.T
	*net.UnixConn
	seen []string
}

func listenToNotices(t *testing.T, path string) *noticeSocket {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &noticeSocket{t: t, UnixConn: conn}
}

// next waits for a notice.
func (n *noticeSocket) next(want string) {
	n.t.Helper()
	buffer := make([]byte, 4096)
	_ = n.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		size, err := n.Read(buffer)
		if err != nil {
			n.t.Fatalf("no %s: %v; there was %q", want, err, n.seen)
		}
		lines := strings.Fields(string(buffer[:size]))
		n.seen = append(n.seen, fmt.Sprint(lines))
		if slices.Contains(lines, want) {
			return
		}
	}
}
