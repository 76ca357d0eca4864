package integration

import (
	"context"
	"crypto/tls"
	"fmt"
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

// departing has three clients, one after the other, leave Ollama in the midst of its
// work. leave returns the request when Ollama has stopped, and when the client was
// gone. The quickest counts, for a machine that is busy may be late itself.
func (g *gateway) departing(t *testing.T, usage record, leave func(subject string) (*ollamatest.Request, time.Time)) {
	t.Helper()
	quickest := time.Hour
	for i := range 3 {
		subject := fmt.Sprintf("%s %d", t.Name(), i)
		request, gone := leave(subject)
		quickest = min(quickest, request.EndedAt().Sub(gone))
		r := g.recordWith("user.id", subject)
		checkRecord(t, r, record{"http.response.status_code": 499, "event.reason": "client_gone", "event.outcome": "unknown"})
		checkRecord(t, r, usage)
	}
	t.Logf("Ollama was stopped after %s", quickest)
	if quickest > soon {
		t.Error("which is too long for a client that is gone")
	}
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
			for _, protocol := range protocols {
				t.Run(protocol, func(t *testing.T) {
					g.departing(t, estimated(2), func(subject string) (*ollamatest.Request, time.Time) {
						others := len(upstream.Requests())
						client, _ := g.over(protocol, network.address())
						s := g.stream(startedBy(tick, client), tokenFor(t, subject), chatBody("hello", true))
						s.nextContent()
						request := arrived(t, upstream, others)
						relent := network.suffer(fault.toxic, fault.attributes, 1)
						defer relent()
						say(tick, request)
						if data, ok := s.next(); ok || s.events.Err() == nil {
							t.Errorf("the client got %q, %v", data, s.events.Err())
						}
						gone := time.Now()
						cancelled(t, request)
						return request, gone
					})
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
	g := startGatewayWith(t, upstream.Address(), "burst 10", "burst 100")
	for _, protocol := range protocols {
		for _, half := range []struct {
			name  string
			close func(*tls.Conn) error
		}{
			{"TLS", (*tls.Conn).CloseWrite},
			{"TCP", func(conn *tls.Conn) error { return conn.NetConn().(*net.TCPConn).CloseWrite() }},
		} {
			// leave closes half of the connection of the request after so many others.
			leave := func(t *testing.T, conns <-chan *tls.Conn, others int) (request *ollamatest.Request, gone time.Time) {
				request, gone = arrived(t, upstream, others), time.Now()
				if err := half.close(<-conns); err != nil {
					t.Fatal(err)
				}
				cancelled(t, request)
				return request, gone
			}
			t.Run(protocol+", "+half.name+", before the first byte", func(t *testing.T) {
				g.departing(t, nil, func(subject string) (*ollamatest.Request, time.Time) {
					client, conns := g.over(protocol, g.address())
					others, token, answers := len(upstream.Requests()), tokenFor(t, subject), make(chan answer, 1)
					go func() {
						a, _ := g.post(client, token, chatBody("hello", true))
						answers <- a
					}()
					request, gone := leave(t, conns, others)
					if a := <-answers; a.status == 200 {
						t.Errorf("the client was told %q", a.body)
					}
					return request, gone
				})
			})
			t.Run(protocol+", "+half.name+", in the midst of a stream", func(t *testing.T) {
				g.departing(t, estimated(1), func(subject string) (*ollamatest.Request, time.Time) {
					client, conns := g.over(protocol, g.address())
					others := len(upstream.Requests())
					s := g.stream(startedBy(tick, client), tokenFor(t, subject), chatBody("hello", true))
					s.nextContent()
					request, gone := leave(t, conns, others)
					if data, ok := s.next(); ok || s.events.Err() == nil { // who still reads would take a bare end for the whole answer
						t.Errorf("the client was told %q, %v", data, s.events.Err())
					}
					return request, gone
				})
			})
		}
	}
}
