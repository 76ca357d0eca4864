package ollamaadapter_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// net/http's server of HTTP/2 may still read what it was to write when it says that the
// stream is closed. What another answer says must not stand there then.
func TestWhatMayStillBeReadAfterAFailedWriteIsNotUsedAgain(t *testing.T) {
	ask := asking(t, ollamaadapter.Handler{}, ollamatest.Says("m", strings.Repeat("a", 500)), ollamatest.Says("n", strings.Repeat("b", 500)))
	lost := &closedStream{header: make(http.Header)}
	ask("m", lost)
	was := bytes.Clone(lost.reads)
	if len(was) == 0 {
		t.Fatal("nothing was written")
	}
	for range 3 {
		other := httptest.NewRecorder()
		if ask("n", other); !strings.Contains(other.Body.String(), "bbb") {
			t.Fatalf("the other answer is %s", other.Body)
		}
	}
	if !bytes.Equal(lost.reads, was) {
		t.Errorf("where %q stood, there is now %q", was, lost.reads)
	}
}

// Nor may another answer have the memory of a heartbeat that is being written.
func TestAHeartbeatIsItsOwnWhileItIsWritten(t *testing.T) {
	beat := caddy.Duration(10 * time.Millisecond)
	silent := ollamatest.Answer{Content: []string{"a"}, Pace: make(chan struct{})}
	ask := asking(t, ollamaadapter.Handler{Heartbeat: &beat}, ollamatest.Model{Name: "m", Answer: answers(silent).Answer}, ollamatest.Says("n", "b"))
	lost := &closedStream{header: make(http.Header)}
	var was, then []byte
	lost.meanwhile = func() {
		was = bytes.Clone(lost.reads)
		for range 3 {
			ask("n", httptest.NewRecorder()) // no longer than the heartbeat, or it takes other memory
		}
		then = bytes.Clone(lost.reads)
	}
	ask("m", lost)
	if !bytes.Contains(was, []byte(`"role":"assistant"`)) || bytes.Contains(was, []byte(`"content":"a"`)) {
		t.Fatalf("%q is no heartbeat", was)
	}
	if !bytes.Equal(then, was) {
		t.Errorf("where %q stood, there is now %q", was, then)
	}
}

// asking asks a handler, before these models, for streams. That an answer is cut off is all
// the same to it.
func asking(t *testing.T, adapter ollamaadapter.Handler, models ...ollamatest.Model) func(model string, client http.ResponseWriter) {
	t.Helper()
	adapter.CoalesceLoads = new(bool)
	h := load[caddyhttp.MiddlewareHandler](t, caddyContext(t), "http.handlers.ollama_adapter", adapter)
	ollama := ollamatest.NewHandler(models...)
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		ollama.ServeHTTP(w, r)
		return nil
	})
	return func(model string, client http.ResponseWriter) {
		defer func() { _ = recover() }()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if lost, ok := client.(*closedStream); ok {
			lost.left = cancel
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(
			`{"model":"`+model+`","stream":true,"messages":[{"role":"user","content":"?"}]}`))
		r = r.WithContext(record.NewContext(ctx, &record.Record{Start: time.Now()}))
		_ = h.ServeHTTP(client, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), client, new(caddyhttp.Server)), next)
	}
}

// closedStream is a client that has left, whose server still reads what it was to write.
type closedStream struct {
	header    http.Header
	reads     []byte
	meanwhile func() // while it reads; may be nil
	left      func()
}

func (c *closedStream) Header() http.Header { return c.header }
func (c *closedStream) WriteHeader(int)     {}
func (c *closedStream) FlushError() error   { return nil }
func (c *closedStream) Write(data []byte) (int, error) {
	defer c.left()
	if c.reads = data; c.meanwhile != nil {
		c.meanwhile()
	}
	return 0, errors.New("stream closed")
}
