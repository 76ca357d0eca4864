package auditfile_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
)

// BenchmarkRecord is what the audit costs on a request's path: its beginning, its record
// through Caddy's kind of logger, and its end.
func BenchmarkRecord(b *testing.B) {
	for _, fsync := range []string{"50ms", "off", "each"} {
		b.Run("fsync "+fsync, func(b *testing.B) {
			c, err := tryLoad(config(filepath.Join(b.TempDir(), "audit.log"), `"fsync":"`+fsync+`"`))
			if err != nil {
				b.Fatal(err)
			}
			defer c.end()
			fields := []zap.Field{zap.String("http.request.id", "0b6c9f34-9a53-4d8f-a6b8-0f7a2a2d2f10"), zap.String("x", strings.Repeat("x", 700))}
			request := auditfile.Request{Start: time.Now(), RequestID: "0b6c9f34-9a53-4d8f-a6b8-0f7a2a2d2f10",
				Method: "POST", Path: "/v1/chat/completions", SourceIP: "192.0.2.1", ClientSubject: "CN=clawdbot,O=Example"}
			took := make([]time.Duration, 0, 1<<20)
			for b.Loop() {
				start := time.Now()
				begun, err := c.files.Begin(request)
				if err != nil {
					b.Fatal(err)
				}
				c.logger.Info("", append(fields, begun.Field())...)
				begun.End()
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkRecordsAtOnce is the same for 16 requests at a time, which wait for each other.
func BenchmarkRecordsAtOnce(b *testing.B) {
	c, err := tryLoad(config(filepath.Join(b.TempDir(), "audit.log"), `"gzip":false`))
	if err != nil {
		b.Fatal(err)
	}
	defer c.end()
	request := auditfile.Request{Start: time.Now(), RequestID: "0b6c9f34-9a53-4d8f-a6b8-0f7a2a2d2f10",
		Method: "POST", Path: "/v1/chat/completions", SourceIP: "192.0.2.1", ClientSubject: "CN=clawdbot,O=Example"}
	text := zap.String("x", strings.Repeat("x", 700))
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			begun, err := c.files.Begin(request)
			if err != nil {
				b.Error(err)
			}
			c.logger.Info("", text, begun.Field())
			begun.End()
		}
	})
}
