package bench

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sethvargo/go-limiter/memorystore"
	"golang.org/x/time/rate"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// decide is one decision of a limiter on a request of the nth client.
type decide func(n uint32)

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

var addresses = func() []string {
	all := make([]string, 100_000)
	for n := range all {
		all[n] = address(uint32(n))
	}
	return all
}()

// ours is a decision on the rate and on what may be in flight, as the others' is
// on the rate: given the client's key.
func ours() decide {
	zone, clients := memory.New(), keys()
	return func(n uint32) { zone.Admit(clients[n], &usual) }
}

// oursWhole is all that the handler asks of a zone for one request, from the address
// as text to the slot that is free again and the answer that is judged.
func oursWhole() decide {
	zone := memory.New()
	return func(n uint32) {
		d := zone.Admit(limit.Client{Key: limit.AddressKey(addresses[n], 32, 64)}, &usual)
		if d.Ticket != nil {
			d.Ticket.Release(200)
		}
	}
}

func keys() []limit.Client {
	clients := make([]limit.Client, len(addresses))
	for n, address := range addresses {
		clients[n].Key = limit.AddressKey(address, 32, 64)
	}
	return clients
}

// rateInMap is golang.org/x/time/rate for each client in a map, as its users write it.
func rateInMap() decide {
	var mu sync.Mutex
	limiters := make(map[string]*rate.Limiter)
	return func(n uint32) {
		mu.Lock()
		l, ok := limiters[addresses[n]]
		if !ok {
			l = rate.NewLimiter(5, 10)
			limiters[addresses[n]] = l
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
	return func(n uint32) { _, _, _, _, _ = store.Take(ctx, addresses[n]) }
}

func BenchmarkDecision(b *testing.B) {
	for _, clients := range []struct {
		name string
		n    uint32
	}{{"1 client", 1}, {"1000 clients", 1000}, {"100000 clients", 100_000}} {
		for _, limiter := range []struct {
			name string
			new  func(*testing.B) decide
		}{
			{"ours", func(*testing.B) decide { return ours() }},
			{"ours, from address to freed slot", func(*testing.B) decide { return oursWhole() }},
			{"x-time-rate in a map", func(*testing.B) decide { return rateInMap() }},
			{"go-limiter", goLimiter},
		} {
			b.Run(clients.name+"/"+limiter.name, func(b *testing.B) {
				f := limiter.new(b)
				for n := range clients.n {
					f(n)
				}
				b.SetParallelism(8) // 16 goroutines on two cores
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					random := rand.New(rand.NewPCG(rand.Uint64(), 0))
					for pb.Next() {
						f(random.Uint32N(clients.n))
					}
				})
			})
		}
	}
}
