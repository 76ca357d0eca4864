package integration

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// overHTTP3 is a client that speaks HTTP/3 over a connection of its own, which comes out
// of the channel when it is made.
func (g *gateway) overHTTP3() (*http.Client, <-chan *quic.Conn) {
	conns := make(chan *quic.Conn, 1)
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: g.ca.pool(), Certificates: []tls.Certificate{g.client}},
		Dial: func(ctx context.Context, _ string, config *tls.Config, quicConfig *quic.Config) (*quic.Conn, error) {
			conn, err := quic.DialAddr(ctx, g.address(), config, quicConfig)
			if err == nil {
				conns <- conn
			}
			return conn, err
		},
	}
	g.t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport, Timeout: patience}, conns
}

// The server of HTTP/3 ends a request whose client has left with another error than those
// of HTTP/1.1 and HTTP/2. reverse_proxy, here without mercy, must not leave out an Ollama
// for it, and the record must tell who has left.
func TestClientOfHTTP3ThatLeavesBlamesNobody(t *testing.T) {
	tick := make(chan struct{})
	upstream := ollamatest.NewServer(counting(9, tick), ollamatest.Says("healthy", "I am ", "well"))
	t.Cleanup(upstream.Close)
	g := startGatewayWith(t, upstream.Address(), "protocols h1 h2", "protocols h1 h2 h3", "burst 10", "burst 100",
		"reverse_proxy "+upstream.Address(), "reverse_proxy "+upstream.Address()+" {\n\t\t\tfail_duration 1h\n\t\t}")
	for _, way := range []struct {
		name  string
		leave func(conn *quic.Conn, cancel context.CancelFunc) error
	}{
		{"its connection is closed", func(conn *quic.Conn, _ context.CancelFunc) error { return conn.CloseWithError(0x100, "") }}, // H3_NO_ERROR
		{"its connection fails", func(conn *quic.Conn, _ context.CancelFunc) error { return conn.CloseWithError(0x102, "") }},     // H3_INTERNAL_ERROR
		{"its stream is reset", func(_ *quic.Conn, cancel context.CancelFunc) error { cancel(); return nil }},
	} {
		leave := func(conns <-chan *quic.Conn, cancel context.CancelFunc, others int) (*ollamatest.Request, time.Time) {
			request, gone := arrived(t, upstream, others), time.Now()
			if err := way.leave(<-conns, cancel); err != nil {
				t.Fatal(err)
			}
			cancelled(t, request)
			g.slotIsFree(t, g.from("127.0.0.1"))
			return request, gone
		}
		t.Run(way.name+", before the first byte", func(t *testing.T) {
			g.departing(t, nil, func(subject string) (*ollamatest.Request, time.Time) {
				client, conns := g.overHTTP3()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r, err := g.request(ctx, tokenFor(t, subject), chatBody("hello", true))
				if err != nil {
					t.Fatal(err)
				}
				others, ended := len(upstream.Requests()), make(chan struct{})
				go func() {
					defer close(ended)
					if resp, err := client.Do(r); err == nil {
						resp.Body.Close()
						t.Errorf("the client is answered: %s", resp.Status)
					}
				}()
				defer func() { <-ended }()
				return leave(conns, cancel, others)
			})
		})
		t.Run(way.name+", in the midst of a stream", func(t *testing.T) {
			g.departing(t, estimated(1), func(subject string) (*ollamatest.Request, time.Time) {
				client, conns := g.overHTTP3()
				others := len(upstream.Requests())
				s := g.stream(startedBy(tick, client), tokenFor(t, subject), chatBody("hello", true))
				s.nextContent()
				if s.resp.ProtoMajor != 3 {
					t.Fatalf("the client speaks %s", s.resp.Proto)
				}
				return leave(conns, s.cancel, others)
			})
		})
	}
}
