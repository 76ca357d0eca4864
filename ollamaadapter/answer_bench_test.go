package ollamaadapter_test

import (
	"fmt"
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

// BenchmarkAnswer is what the handler does for a request, from its first byte to the
// last of the answer, but for the network: the upstream is a function that writes lines,
// so many with each read. Beside the lines it costs what a request costs: compare the
// numbers of lines.
func BenchmarkAnswer(b *testing.B) {
	for _, dialect := range []struct{ name, line, end string }{
		{"chat", `{"model":"m","created_at":"2026-01-01T00:00:00.123456789Z","message":{"role":"assistant","content":" t%d"},"done":false}`,
			`{"model":"m","created_at":"2026-01-01T00:00:00.123456789Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",` +
				`"total_duration":1000000,"load_duration":100000,"prompt_eval_count":4,"prompt_eval_duration":100000,"eval_count":%d,"eval_duration":800000}`},
		{"thinking", `{"model":"m","created_at":"2026-01-01T00:00:00.123456789Z","message":{"role":"assistant","content":"","thinking":" t%d"},"done":false}`,
			`{"model":"m","created_at":"2026-01-01T00:00:00.123456789Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":%d}`},
	} {
		for _, form := range []struct {
			name, fields string
			lines        int
			aRead        int
		}{
			{"whole, 6 lines a read", ``, 40, 6},
			{"streamed, a line a read", `"stream":true`, 40, 1},
			{"streamed, a line a read", `"stream":true`, 256, 1},
			{"streamed, 24 lines a read", `"stream":true`, 256, 24},
		} {
			b.Run(fmt.Sprintf("%s/%d lines %s", dialect.name, form.lines, form.name), func(b *testing.B) {
				var pieces [][]byte
				var piece strings.Builder
				for i := range form.lines {
					fmt.Fprintf(&piece, dialect.line+"\n", i)
					if i%form.aRead == form.aRead-1 {
						pieces = append(pieces, []byte(piece.String()))
						piece.Reset()
					}
				}
				fmt.Fprintf(&piece, dialect.end+"\n", form.lines)
				answerRequests(b, saying(form.fields), append(pieces, []byte(piece.String())))
			})
		}
	}
}

// answerRequests has the handler answer one request after the other with these pieces.
func answerRequests(b *testing.B, body string, pieces [][]byte) {
	h := load[caddyhttp.MiddlewareHandler](b, caddyContext(b), "http.handlers.ollama_adapter", ollamaadapter.Handler{})
	ollama := ollamatest.NewHandler(ollamatest.Says("m"))
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path != "/api/chat" {
			ollama.ServeHTTP(w, r) // what the handler wants to know of the model
			return nil
		}
		for _, piece := range pieces {
			if _, err := w.Write(piece); err != nil {
				return err
			}
			_ = http.NewResponseController(w).Flush() // as reverse_proxy does
		}
		return nil
	})
	client := new(counter)
	serve := func() {
		client.header = make(http.Header)
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
		r.Header.Set("X-Request-Id", "1")
		rec := &record.Record{Start: time.Now()}
		rec.Watch()
		r = r.WithContext(record.NewContext(r.Context(), rec))
		// as there are in Caddy, in audit_log and in ip_throttle
		w := caddyhttp.NewResponseRecorder(caddyhttp.NewResponseRecorder(caddyhttp.NewResponseRecorder(client, nil, nil), nil, nil), nil, nil)
		if err := h.ServeHTTP(w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server)), next); err != nil {
			b.Fatal(err)
		}
	}
	serve() // which asks the upstream what it is
	*client = counter{}
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
	b.ReportMetric(float64(client.writes)/float64(b.N), "writes/op")
	b.ReportMetric(float64(client.flushes)/float64(b.N), "flushes/op")
}

// counter is a client that counts.
type counter struct {
	header          http.Header
	writes, flushes int
}

func (w *counter) Header() http.Header { return w.header }
func (w *counter) WriteHeader(int)     {}
func (w *counter) Write(data []byte) (int, error) {
	w.writes++
	return len(data), nil
}
func (w *counter) FlushError() error {
	w.flushes++
	return nil
}
