package bench

import (
	"runtime"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// oursHourly is a zone whose clients are remembered as long as the benchmark lasts, as
// the others' are.
func oursHourly() decide {
	zone, policy := memory.New(), usual
	policy.Interval = time.Hour
	return func(r *request) {
		zone.Admit(r.client, &policy).Ticket.Release(200)
	}
}

// BenchmarkBytesPerClient tells what a million clients cost, all in. Each of them
// has asked once.
func BenchmarkBytesPerClient(b *testing.B) {
	const clients = 1_000_000
	for _, limiter := range []struct {
		name string
		new  func(*testing.B) decide
	}{
		{"ours", func(*testing.B) decide { return oursHourly() }},
		{"x-time-rate in a map", func(*testing.B) decide { return rateInMap() }},
		{"go-limiter", goLimiter},
	} {
		b.Run(limiter.name, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				f := limiter.new(b)
				for n := range uint32(clients) {
					r := requestOf(n)
					f(&r)
				}
				b.ReportMetric(float64(heap()-before)/clients, "B/client")
				runtime.KeepAlive(f)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
