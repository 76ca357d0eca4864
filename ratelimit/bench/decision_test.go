package bench

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sethvargo/go-limiter/memorystore"
	"golang.org/x/time/rate"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// decide is one decision of a limiter on a request.
type decide func(*request)

// request is who asks, in the forms that limiters want.
type request struct {
	address string
	client  limit.Client
}

func requestOf(n uint32) request {
	address := address(n)
	return request{address, limit.Client{Key: limit.AddressKey(address, 32, 64)}}
}

var usual = limit.Policy{
	Interval: 200 * time.Millisecond, Burst: 10, // nothing bounds what is in flight: only so is each decision one on the rate
	Penalty: 3, PenaltyTime: 10 * time.Minute, PenaltyStatus: []int{400, 401, 403, 404, 405, 413, 415, 422},
	MaxClients: 2_000_000,
}

// address is the nth client's.
func address(n uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24+n)
	return netip.AddrFrom4(b).String()
}

// ours is a decision on the rate and on what may be in flight, as the others' is
// on the rate: given the client's key.
func ours() decide {
	zone := memory.New()
	return func(r *request) { zone.Admit(r.client, &usual) }
}

// oursWhole is all that the handler asks of a zone for one request, from the address
// as text to the slot that is free again and the answer that is judged.
func oursWhole() decide {
	zone := memory.New()
	return func(r *request) {
		d := zone.Admit(limit.Client{Key: limit.AddressKey(r.address, 32, 64)}, &usual)
		if d.Ticket != nil {
			d.Ticket.Release(200)
		}
	}
}

// rateInMap is golang.org/x/time/rate for each client in a map, as its users write it.
func rateInMap() decide {
	var mu sync.Mutex
	limiters := make(map[string]*rate.Limiter)
	return func(r *request) {
		mu.Lock()
		l, ok := limiters[r.address]
		if !ok {
			l = rate.NewLimiter(5, 10)
			limiters[r.address] = l
		}
		mu.Unlock()
		l.Allow()
	}
}

func goLimiter(b *testing.B) decide {
	store, err := memorystore.New(&memorystore.Config{Tokens: 10, Interval: 2 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close(context.Background()) })
	ctx := context.Background()
	return func(r *request) { _, _, _, _, _ = store.Take(ctx, r.address) }
}

const (
	rounds     = 41
	goroutines = 16
	decisions  = 4000 // of a goroutine in a round
)

// BenchmarkDecision lets the limiters take turns, round by round, so that whatever else
// the machine does befalls all alike, and tells the medians.
func BenchmarkDecision(b *testing.B) {
	for _, clients := range []struct {
		name string
		n    uint32
	}{{"1 client", 1}, {"1000 clients", 1000}, {"100000 clients", 100_000}} {
		b.Run(clients.name, func(b *testing.B) {
			limiters := []struct {
				name   string
				decide decide
				took   []time.Duration
			}{
				{name: "ours", decide: ours()},
				{name: "ours-whole", decide: oursWhole()},
				{name: "x-time-rate", decide: rateInMap()},
				{name: "go-limiter", decide: goLimiter(b)},
			}
			for n := range clients.n {
				r := requestOf(n)
				for _, l := range limiters {
					l.decide(&r)
				}
			}
			for b.Loop() {
				for range rounds {
					for i := range limiters {
						l := &limiters[i]
						l.took = append(l.took, round(l.decide, clients.n))
					}
				}
			}
			b.ReportMetric(0, "ns/op") // of all together: it says nothing
			for _, l := range limiters {
				slices.Sort(l.took)
				b.ReportMetric(float64(l.took[len(l.took)/2])/(goroutines*decisions), l.name+"-ns")
			}
		})
	}
}

// round is how long goroutines together take for their decisions on so many clients.
// The requests are made before, each goroutine's in their order: an address that has
// just been read from a connection is in the cache too.
func round(decide decide, clients uint32) time.Duration {
	var all sync.WaitGroup
	start := make(chan struct{})
	var ready sync.WaitGroup
	for range goroutines {
		ready.Add(1)
		all.Go(func() {
			requests := make([]request, decisions)
			for i := range requests {
				requests[i] = requestOf(rand.Uint32N(clients))
			}
			ready.Done()
			<-start
			for i := range requests {
				decide(&requests[i])
			}
		})
	}
	ready.Wait()
	since := time.Now()
	close(start)
	all.Wait()
	return time.Since(since)
}
