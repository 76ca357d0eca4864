package memory_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// heap is how much memory is in use, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTenMillionClientsTakeNoMoreMemoryThanTheBound(t *testing.T) {
	offered := 10_000_000
	if raceDetector || testing.Short() {
		offered = 500_000
	}
	const bound = 100_000
	p := strict
	p.Interval, p.Burst, p.MaxClients = time.Hour, 10, bound
	before := heap()
	z, _ := newZone()
	block(t, z, client(-1), p)

	crowd(z, p, 0, 2*bound, 200)
	full := heap() - before
	for n := 2 * bound; n < offered; n += bound {
		crowd(z, p, n, n+bound-1, 401)
	}
	grown := heap() - before
	t.Logf("%d clients offered: %d remembered, %.1f bytes for each place; %.1f with errors and blocks of a quarter as many",
		offered, z.Clients(), float64(full)/bound, float64(grown)/bound)
	if z.Clients() > bound {
		t.Errorf("%d clients are remembered", z.Clients())
	}
	// as many again as there are places, for a quarter as many who made errors
	if most := int64(bound) * 200; grown > most {
		t.Errorf("%d bytes after %d clients, want at most %d", grown, offered, most)
	}
	refuse(t, z, client(-1), p, limit.Blocked)
	runtime.KeepAlive(z)
}

func TestAfterAFloodMemoryIsGivenBack(t *testing.T) {
	const flood = 200_000
	p := limit.Policy{Interval: time.Second, Burst: 1, MaxClients: 1_000_000}
	before := heap()
	z, clock := newZone()
	crowd(z, p, 0, flood, 200)
	during := heap() - before
	clock.advance(time.Minute)
	// a trickle of newcomers pays for the clearing
	for n := range flood / 2 {
		crowd(z, p, flood+n, flood+n, 200)
		clock.advance(2 * time.Second)
	}
	after := heap() - before
	if z.Clients() > 1000 || after > during/4 {
		t.Errorf("%d clients and %d bytes are left of a flood that took %d bytes", z.Clients(), after, during)
	}
	runtime.KeepAlive(z)
}

func BenchmarkAdmit(b *testing.B) {
	p := strict
	p.Interval, p.Burst, p.Concurrency, p.PerClient, p.MaxClients = 200*time.Millisecond, 10, 200, 20, 1_000_000
	z := memory.New()
	b.SetParallelism(8) // 16 goroutines on two cores
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			if d := z.Admit(limit.Client{Key: client(n % 10_000)}, &p); d.Ticket != nil {
				d.Ticket.Release(200)
			}
		}
	})
}
