package ollamaadapter_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
)

// bubble is a gateway in front of Ollamas with no network in between, so that a test of what
// takes minutes can have its time from testing/synctest. reverse_proxy is Caddy's own.
type bubble struct {
	front caddyhttp.MiddlewareHandler
	proxy caddyhttp.MiddlewareHandler
}

// inBubble starts a gateway within a bubble of synctest. The addresses of upstreams in the
// configuration of reverse_proxy are names of ollamas; nobody listens at any other.
func inBubble(t *testing.T, adapter ollamaadapter.Handler, proxying map[string]any, ollamas map[string]http.Handler) *bubble {
	t.Helper()
	ollamaadapter.Start() // what is made in one bubble is of no use in another
	t.Cleanup(ollamaadapter.Start)
	for address, ollama := range ollamas {
		open(t, address, ollama)
	}
	proxying["transport"] = map[string]string{"protocol": "in_memory"}
	ctx := caddyContext(t)
	return &bubble{
		front: load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.ollama_adapter", adapter),
		proxy: load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.reverse_proxy", proxying),
	}
}

// post sends a chat request, which ends with ctx. The status is that of the error, if there
// is one.
func (b *bubble) post(ctx context.Context, body string) (status int, rec *record.Record) {
	rec = new(record.Record)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(record.NewContext(ctx, rec), http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
	err := b.front.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return b.proxy.ServeHTTP(w, r, nil)
	}))
	if failed, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return failed.StatusCode, rec
	}
	return w.Code, rec
}

func init() { caddy.RegisterModule(inMemory{}) }

// inMemory is a transport of reverse_proxy: that of net/http, over pipes.
type inMemory struct{ *http.Transport }

func (inMemory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID: "http.reverse_proxy.transport.in_memory",
		New: func() caddy.Module {
			return &inMemory{&http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				ollama, listens := pipes.Load(address)
				if !listens {
					return nil, reverseproxy.NewDialError(errors.New("nobody listens"))
				}
				return ollama.(door).dial(ctx)
			}}}
		},
	}
}

// RoundTrip speaks HTTP with an Ollama.
func (m *inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Scheme = "http"
	return m.Transport.RoundTrip(r)
}

// Cleanup lets go of the connections.
func (m *inMemory) Cleanup() error {
	m.CloseIdleConnections()
	return nil
}

// pipes are the doors of the Ollamas, by address.
var pipes sync.Map

// door is a net.Listener whose connections are pipes.
type door struct {
	coming chan net.Conn
	closed chan struct{}
}

// open has an Ollama listen at an address until the test ends.
func open(t *testing.T, address string, ollama http.Handler) {
	t.Helper()
	d := door{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: ollama}
	go func() { _ = server.Serve(d) }()
	pipes.Store(address, d)
	t.Cleanup(func() {
		pipes.Delete(address)
		server.Close()
	})
}

func (d door) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case d.coming <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.coming:
		return conn, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

func (d door) Close() error {
	close(d.closed)
	return nil
}

func (door) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
