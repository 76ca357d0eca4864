package ollamaadapter_test

import (
	"bytes"
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
	h := load[caddyhttp.MiddlewareHandler](t, caddyContext(t), "http.handlers.ollama_adapter", ollamaadapter.Handler{})
	ollama := ollamatest.NewHandler(ollamatest.Says("m", strings.Repeat("a", 500)), ollamatest.Says("n", strings.Repeat("b", 500)))
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		ollama.ServeHTTP(w, r)
		return nil
	})
	ask := func(model string, client http.ResponseWriter) {
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(
			`{"model":"`+model+`","stream":true,"messages":[{"role":"user","content":"?"}]}`))
		r = r.WithContext(record.NewContext(r.Context(), &record.Record{Start: time.Now()}))
		_ = h.ServeHTTP(client, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), client, new(caddyhttp.Server)), next)
	}
	lost := &closedStream{header: make(http.Header)}
	func() {
		defer func() { _ = recover() }() // the answer is cut off
		ask("m", lost)
	}()
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

// closedStream is a client that has left, whose server still reads what it was to write.
type closedStream struct {
	header http.Header
	reads  []byte
}

func (c *closedStream) Header() http.Header { return c.header }
func (c *closedStream) WriteHeader(int)     {}
func (c *closedStream) FlushError() error   { return nil }
func (c *closedStream) Write(data []byte) (int, error) {
	c.reads = data
	return 0, errors.New("stream closed")
}
