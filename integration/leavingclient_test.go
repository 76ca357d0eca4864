package integration

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// soon is how long Ollama may work for a client that has left.
const soon = 100 * time.Millisecond

// protocols of a client's connection, as TLS names them.
var protocols = []string{"http/1.1", "h2"}

// over is a client whose connection a test can lay hands on: it comes out of the
// channel when it is made, to the address given.
func (g *gateway) over(protocol, address string) (*http.Client, <-chan *tls.Conn) {
	dialer := &tls.Dialer{Config: &tls.Config{
		RootCAs: g.ca.pool(), Certificates: []tls.Certificate{g.client}, ServerName: host, NextProtos: []string{protocol},
	}}
	conns := make(chan *tls.Conn, 1)
	client := g.from("127.0.0.1")
	client.Transport.(*http.Transport).DialTLSContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			conns <- conn.(*tls.Conn)
		}
		return conn, err
	}
	return client, conns
}

// stopped checks that Ollama was stopped soon after the client was gone, and that
// the record says so.
func (g *gateway) stopped(t *testing.T, request *ollamatest.Request, gone time.Time, subject string, usage record) {
	t.Helper()
	<-request.Ended()
	took := request.EndedAt().Sub(gone)
	t.Logf("Ollama was stopped after %s", took)
	if !request.Cancelled() {
		t.Error("Ollama answered to the end")
	}
	if took > soon {
		t.Errorf("Ollama worked for a client that was gone for %s", took)
	}
	r := g.recordWith("user.id", subject)
	checkRecord(t, r, record{"http.response.status_code": 499, "event.reason": "client_gone", "event.outcome": "unknown"})
	checkRecord(t, r, usage)
}

// estimated is the usage in a record when the model was stopped after so many tokens.
func estimated(tokens int) record {
	return record{"gen_ai.usage.output_tokens": tokens, "labels.usage_estimated": true}
}

func TestNetworkThatLosesTheClientStopsOllama(t *testing.T) {
	for _, fault := range []struct{ name, toxic, attributes string }{
		{"the connection is reset", "reset_peer", `{}`},
		{"the connection ends within an event", "limit_data", `{"bytes":50}`},
	} {
		t.Run(fault.name, func(t *testing.T) {
			tick := make(chan struct{})
			upstream := ollamatest.NewServer(counting(9, tick))
			t.Cleanup(upstream.Close)
			g := startGateway(t, upstream.Address())
			network := startNetwork(t, g.address())
			network.suffer(fault.toxic, fault.attributes, 0)
			for i, protocol := range protocols {
				t.Run(protocol, func(t *testing.T) {
					client, _ := g.over(protocol, network.address())
					s := g.stream(startedBy(tick, client), tokenFor(t, protocol), chatBody("hello", true))
					s.nextContent()
					relent := network.suffer(fault.toxic, fault.attributes, 1)
					defer relent()
					tick <- struct{}{}
					if data, ok := s.next(); ok || s.events.Err() == nil {
						t.Errorf("the client got %q, %v", data, s.events.Err())
					}
					g.stopped(t, upstream.WaitFor(i+1), time.Now(), protocol, estimated(2))
				})
			}
		})
	}
}

// A client that closes its half of the connection counts as one that has left: over
// HTTP/1.1 the closing of its half is the first, and perhaps the only, sign of that.
func TestNetworkHalfClosedByTheClient(t *testing.T) {
	tick := make(chan struct{})
	upstream := ollamatest.NewServer(counting(9, tick))
	t.Cleanup(upstream.Close)
	g := startGateway(t, upstream.Address())
	asked := 0
	for _, protocol := range protocols {
		for _, half := range []struct {
			name  string
			close func(*tls.Conn) error
		}{
			{"TLS", (*tls.Conn).CloseWrite},
			{"TCP", func(conn *tls.Conn) error { return conn.NetConn().(*net.TCPConn).CloseWrite() }},
		} {
			leave := func(conns <-chan *tls.Conn) (request *ollamatest.Request, gone time.Time) {
				asked++
				request, gone = upstream.WaitFor(asked), time.Now()
				if err := half.close(<-conns); err != nil {
					t.Fatal(err)
				}
				return request, gone
			}
			t.Run(protocol+", "+half.name+", before the first byte", func(t *testing.T) {
				client, conns := g.over(protocol, g.address())
				token, answers := tokenFor(t, t.Name()), make(chan answer, 1)
				go func() {
					a, _ := g.post(client, token, chatBody("hello", true))
					answers <- a
				}()
				request, gone := leave(conns)
				g.stopped(t, request, gone, t.Name(), nil)
				if a := <-answers; a.status == 200 {
					t.Errorf("the client was told %q", a.body)
				}
			})
			t.Run(protocol+", "+half.name+", in the midst of a stream", func(t *testing.T) {
				client, conns := g.over(protocol, g.address())
				s := g.stream(startedBy(tick, client), tokenFor(t, t.Name()), chatBody("hello", true))
				s.nextContent()
				request, gone := leave(conns)
				g.stopped(t, request, gone, t.Name(), estimated(1))
				if data, ok := s.next(); ok {
					t.Errorf("the client was told %q", data)
				}
			})
		}
	}
}
