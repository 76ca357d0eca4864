package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	"go.uber.org/goleak"

	"github.com/gateway18789/caddy-ollama/auditlog/board"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newContext is the context of one configuration, which ends with the test.
func newContext(t *testing.T) caddy.Context {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	return ctx
}

// load provisions a console as Caddy does.
func load(t *testing.T, ctx caddy.Context, options string) *Handler {
	t.Helper()
	module, err := ctx.LoadModuleByID("http.handlers.gateway_console", []byte(options))
	if err != nil {
		t.Fatal(err)
	}
	return module.(*Handler)
}

// newRequest is one of the page's, from this host, as Caddy's server prepares it.
func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = "localhost:18790", "127.0.0.1:50000"
	r.Header.Set(ownHeader, "1")
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "127.0.0.1")
	return r
}

// serve is how the handler answers.
func serve(h *Handler, r *http.Request) (w *httptest.ResponseRecorder, status int) {
	w = httptest.NewRecorder()
	if err := h.ServeHTTP(w, r, nil); err != nil {
		he, _ := errors.AsType[caddyhttp.HandlerError](err)
		return w, he.StatusCode
	}
	return w, w.Code
}

// server serves the handler over TCP, as the page's host.
func server(t *testing.T, h *Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
		caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "127.0.0.1")
		if err := h.ServeHTTP(w, r, nil); err != nil {
			he, _ := errors.AsType[caddyhttp.HandlerError](err)
			w.WriteHeader(he.StatusCode)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// watching is somebody who looks at the events.
type watching struct {
	t     *testing.T
	lines *bufio.Scanner
	leave func()
}

func watch(t *testing.T, s *httptest.Server) *watching {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(ownHeader, "1")
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %v", resp.Status, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return &watching{t, lines, leave}
}

// next reads on to the next event of that name; false at the end of all.
func (w *watching) next(name string, event any) bool {
	w.t.Helper()
	for w.lines.Scan() {
		if w.lines.Text() != "event: "+name || !w.lines.Scan() {
			continue
		}
		data, _ := strings.CutPrefix(w.lines.Text(), "data: ")
		if err := json.Unmarshal([]byte(data), event); err != nil {
			w.t.Fatalf("event %s: %v", name, err)
		}
		return true
	}
	return false
}

// begin puts a request on the board.
func begin(t *testing.T, rec *record.Record) (context.Context, *board.Entry) {
	t.Helper()
	return board.Begin(t.Context(), rec, func(name string) string { return name })
}
