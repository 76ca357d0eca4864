package auditlog

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/record"

	_ "github.com/gateway18789/caddy-ollama/auditlog/ecs"
)

// What the record of a request costs the request, with all that goes on behind it: an audit
// file that is signed and in ECS, metrics, a client with a certificate. "in memory" has no
// file; the difference is the file's, of which the writing itself is the most.
// Reports the 99th percentile, too.
func BenchmarkRequest(b *testing.B) {
	for name, toFile := range map[string]bool{"in memory": false, "in a file": true} {
		b.Run(name, func(b *testing.B) {
			h := newHandler(b, toFile)
			client := verified(b, "clawdbot", "Example")
			var took []time.Duration
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += batch {
				b.StopTimer()
				requests := newRequests(client, min(batch, b.N-n))
				b.StartTimer()
				for _, r := range requests {
					began := time.Now()
					if err := h.ServeHTTP(r.w, r.Request, chat); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(began))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}

// The same from 16 clients at a time.
func BenchmarkRequestsAtOnce(b *testing.B) {
	h := newHandler(b, true)
	client := verified(b, "clawdbot", "Example")
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		var requests []benchRequest
		for pb.Next() {
			if len(requests) == 0 {
				requests = newRequests(client, batch)
			}
			r := requests[0]
			requests = requests[1:]
			if err := h.ServeHTTP(r.w, r.Request, chat); err != nil {
				b.Error(err)
			}
		}
	})
}

// chat is a handler that answers a chat.
var chat = next(func(w http.ResponseWriter, r *http.Request) error {
	rec := record.From(r.Context())
	rec.UserID, rec.Operation, rec.Provider = "clawdbot", "chat", "ollama"
	rec.RequestModel, rec.Model, rec.ResponseModel = "qwen3:32b", "qwen3:32b", "qwen3:32b"
	rec.ConversationID = "conv_0123456789abcdef0123456789abcdef"
	rec.Usage, rec.FinishReasons = &record.Usage{InputTokens: 7, OutputTokens: 9}, []string{"stop"}
	w.WriteHeader(http.StatusOK)
	return nil
})

// batch is how many requests are prepared at a time.
const batch = 256

type benchRequest struct {
	*http.Request
	w *discard
}

func newRequests(client *tls.ConnectionState, n int) []benchRequest {
	requests := make([]benchRequest, n)
	for i := range requests {
		r := httptest.NewRequest("POST", "/v1/chat/completions", nil)
		r.TLS = client
		r.Header.Set("User-Agent", "openai-python/1.0")
		w := &discard{http.Header{"Server": {"Caddy"}}}
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
		caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "192.0.2.1")
		requests[i] = benchRequest{r, w}
	}
	return requests
}

// newHandler is one as Caddy makes it, whose records go in ECS to an audit file that is
// signed; or nowhere.
func newHandler(b *testing.B, toFile bool) *Handler {
	b.Helper()
	folder := b.TempDir()
	ctx, end := caddy.NewContext(installation(b, folder))
	b.Cleanup(end)
	load := func(id string, config map[string]any) any {
		raw, err := json.Marshal(config)
		if err != nil {
			b.Fatal(err)
		}
		module, err := ctx.LoadModuleByID(id, raw)
		if err != nil {
			b.Fatal(err)
		}
		return module
	}
	writer := io.Discard
	if toFile {
		file := load("caddy.logging.writers.audit_file", map[string]any{
			"filename": filepath.Join(folder, "audit.log"), "sign_key": filepath.Join(folder, "audit.key"), "gzip": false,
		})
		var err error
		if writer, err = file.(caddy.WriterOpener).OpenWriter(); err != nil {
			b.Fatal(err)
		}
	}
	encoder := load("caddy.logging.encoders.ecs", map[string]any{}).(zapcore.Encoder)
	h := load("http.handlers.audit_log", map[string]any{}).(*Handler)
	h.logger = zap.New(zapcore.NewCore(encoder, zapcore.AddSync(writer), zap.InfoLevel)).Named("http.handlers.audit_log")
	return h
}
