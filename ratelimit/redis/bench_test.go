package redis_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
	"github.com/gateway18789/caddy-ollama/ratelimit/storetest"
)

// BenchmarkRequest compares what a request costs in memory and in Redis, from its
// admission to its release, with so many at once:
//
//	go test -run '^$' -bench Request ./ratelimit/redis/
func BenchmarkRequest(b *testing.B) {
	for _, store := range []struct {
		name string
		open func(*testing.B) limit.Store
	}{
		{"memory", func(*testing.B) limit.Store { return memory.New() }},
		{"redis", func(b *testing.B) limit.Store { return open(b, clientOf(b, redistest.Start(b).Address), nil) }},
	} {
		for _, atOnce := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d at once", store.name, atOnce), func(b *testing.B) {
				benchmarkRequests(b, store.open(b), atOnce)
			})
		}
	}
}

func benchmarkRequests(b *testing.B, store limit.Store, atOnce int) {
	p := limit.Policy{
		Interval: time.Microsecond, Burst: 1_000_000, Concurrency: 10_000, PerClient: 10_000,
		Penalty: 3, PenaltyTime: time.Minute, PenaltyStatus: []int{401},
	}
	var mu sync.Mutex
	var took []time.Duration
	var workers sync.WaitGroup
	b.ResetTimer()
	for worker := range atOnce {
		workers.Go(func() {
			var own []time.Duration
			for n := worker; n < b.N; n += atOnce {
				began := time.Now()
				d := store.Admit(storetest.Client(n%1000), &p)
				if d.Ticket == nil {
					b.Errorf("refused as %v", d.Reason)
					return
				}
				d.Ticket.Release(200)
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	workers.Wait()
	b.StopTimer()
	slices.Sort(took)
	if len(took) > 0 {
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "µs-median")
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "µs-p99")
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	}
}
