package auditlog

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/ecs"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// What the record of a request costs the request, in all but the writing to a disk.
// Reports the 99th percentile, which is to be under 50 µs.
func BenchmarkRequest(b *testing.B) {
	encoder := new(ecs.Encoder)
	if err := encoder.Provision(caddy.Context{}); err != nil {
		b.Fatal(err)
	}
	h := &Handler{logger: zap.New(zapcore.NewCore(encoder, zapcore.AddSync(io.Discard), zap.InfoLevel)).Named("http.handlers.audit_log")}
	inner := next(func(w http.ResponseWriter, r *http.Request) error {
		rec := record.From(r.Context())
		rec.UserID, rec.Operation, rec.Provider, rec.RequestModel = "clawdbot", "chat", "ollama", "qwen3:32b"
		rec.Usage, rec.FinishReasons = &record.Usage{InputTokens: 7, OutputTokens: 9}, []string{"stop"}
		return nil
	})
	r, w := newRequest("POST", "/v1/chat/completions"), new(discard)
	took := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	for range b.N {
		began := time.Now()
		if err := h.ServeHTTP(w, r, inner); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}
