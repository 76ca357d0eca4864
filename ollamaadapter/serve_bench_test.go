package ollamaadapter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
)

// BenchmarkServe is what a whole request costs in the handler: all but Caddy, the
// connections to client and upstream, and Ollama. The answers are of one line, so that
// the request's side shows; BenchmarkAnswer has the other.
func BenchmarkServe(b *testing.B) {
	system := `{"role":"system","content":"You are a helpful assistant."}`
	asking := func(messages ...string) string {
		return fmt.Sprintf(`{"model":"m","stream":false,"messages":[%s]}`, strings.Join(messages, ","))
	}
	user := func(times int, word string) string {
		return fmt.Sprintf(`{"role":"user","content":%q}`, strings.Repeat(word, times))
	}
	turn := user(10, "word ") + `,{"role":"assistant","content":"` + strings.Repeat("word ", 40) + `"}`
	tool := func(i int) string {
		return fmt.Sprintf(`{"type":"function","function":{"name":"tool_%d","description":"Reads the lines of a file of the workspace.","parameters":`+
			`{"type":"object","properties":{"path":{"type":"string","description":"Where the file is."},"offset":{"type":"integer","minimum":0},`+
			`"kind":{"enum":["text","image"]},"ranges":{"type":"array","items":{"type":"object","properties":{"from":{"type":"integer"},`+
			`"to":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["from"]}}},"required":["path"],"additionalProperties":false}}}`, i)
	}
	var tools []string
	for i := range 10 {
		tools = append(tools, tool(i))
	}
	withTools := strings.TrimSuffix(asking(system, user(1, "hi")), "}") + `,"tools":[` + strings.Join(tools, ",") + `]}`
	for _, bench := range []struct{ name, body string }{
		{"a short request", asking(system, user(1, "What is as fast as it is safe?"))},
		{"10 messages", asking(system, turn, turn, turn, turn, user(10, "word "))},
		{"10 tools", withTools},
		{"a prompt of 100 kB", asking(system, user(20_000, "word "))},
		{"a prompt of 100 kB with escapes", asking(system, user(10_000, "\"四书\"\n"))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			front := load[caddyhttp.MiddlewareHandler](b, caddyContext(b), "http.handlers.ollama_adapter", ollamaadapter.Handler{
				DefaultModel: "m", Defaults: map[string]any{"temperature": 0.7, "num_ctx": 32768},
			})
			upstream := preparedUpstream()
			rec := &record.Record{}
			body := strings.NewReader(bench.body)
			r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", io.NopCloser(body))
			r.ContentLength = body.Size()
			r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Request-Id": {"0123456789"}}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			r = caddyhttp.PrepareRequest(r.WithContext(ctx), caddy.NewReplacer(), nil, new(caddyhttp.Server))
			r = r.WithContext(record.NewContext(r.Context(), rec))
			client := &discarding{header: make(http.Header)}
			b.SetBytes(int64(len(bench.body)))
			b.ReportAllocs()
			for b.Loop() {
				*rec = record.Record{Start: time.Now()}
				body.Reset(bench.body)
				clear(client.header)
				client.status = 0
				if err := front.ServeHTTP(client, r, upstream); err != nil || client.status != http.StatusOK || rec.Usage == nil {
					b.Fatalf("%v, status %d, %+v", err, client.status, rec)
				}
			}
		})
	}
}

// preparedUpstream is Ollama behind a reverse_proxy that costs nothing.
func preparedUpstream() caddyhttp.HandlerFunc {
	answer := []byte(`{"model":"m","created_at":"2026-01-01T00:00:00.000000000Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",` +
		`"total_duration":1,"load_duration":1,"prompt_eval_count":26,"prompt_eval_duration":1,"eval_count":40,"eval_duration":1}` + "\n")
	told := map[string][]byte{
		"/api/version": []byte(`{"version":"0.33.0"}`),
		"/api/tags":    []byte(`{"models":[{"name":"m:latest","model":"m:latest","digest":"` + strings.Repeat("0f", 32) + `"}]}`),
		"/api/show":    []byte(`{"capabilities":["completion","tools"],"model_info":{"general.architecture":"q","q.context_length":32768}}`),
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		data, ok := told[r.URL.Path]
		if !ok {
			data = answer
		}
		_, err := w.Write(data)
		return err
	}
}

// discarding is a client that reads everything and keeps nothing.
type discarding struct {
	header http.Header
	status int
}

func (d *discarding) Header() http.Header             { return d.header }
func (d *discarding) WriteHeader(status int)          { d.status = status }
func (d *discarding) Write(piece []byte) (int, error) { return len(piece), nil }
func (d *discarding) FlushError() error               { return nil }
