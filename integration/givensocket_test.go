package integration

import (
	"net"
	"os"
	"strings"
	"testing"
)

// prepareOnSocket is prepareGateway for a listener that the gateway is given.
func prepareOnSocket(t *testing.T, upstream string) (*gateway, *os.File) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	g := prepareGateway(t, upstream)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close() // the socket is the file's now
	g.isGiven(port)
	return g, socket
}

// isGiven makes the changes to the Caddyfile that the README tells, for a listener that the
// gateway is given for a port.
func (g *gateway) isGiven(port string) {
	g.t.Helper()
	for _, change := range [][2]string{{"servers 127.0.0.1:" + g.port, "servers fd/3"}, {"bind 127.0.0.1\n", "bind fd/3\n"}} {
		if !strings.Contains(g.caddyfile, change[0]) {
			g.t.Fatalf("the Caddyfile does not say %q", change[0])
		}
		g.caddyfile = strings.ReplaceAll(g.caddyfile, change[0], change[1])
	}
	g.caddyfile = strings.ReplaceAll(g.caddyfile, ":"+g.port, ":"+port)
	g.port = port
	g.writeConfig(g.caddyfile)
}

// startOn starts the gateway with a listener.
func (g *gateway) startOn(socket *os.File) {
	g.t.Helper()
	g.process = startProcessWith(g.t, []*os.File{socket}, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	await(g.t, "the gateway", func() error {
		select {
		case <-g.exited:
			g.t.Fatalf("the gateway ended:\n%s", g.output.String())
		default:
		}
		return g.serves()
	})
}
