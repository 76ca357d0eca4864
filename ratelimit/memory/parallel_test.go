package memory_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

const goroutines = 16

// together runs f on 16 goroutines at once.
func together(f func(g int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for g := range goroutines {
		wg.Go(func() {
			<-start
			f(g)
		})
	}
	close(start)
	wg.Wait()
}

func TestParallelRequestsNeverExceedTheRate(t *testing.T) {
	z, _ := newZone()
	p := memory.Policy{Interval: time.Hour, Burst: 100}
	var admitted atomic.Int64
	together(func(int) {
		for range 200 {
			if ticket, refusal := z.Admit(client(1), p); refusal == nil {
				admitted.Add(1)
				ticket.Release(200)
			}
		}
	})
	if n := admitted.Load(); n != 100 {
		t.Errorf("%d passed, want the burst of 100", n)
	}
}

func TestParallelRequestsNeverExceedTheCapacity(t *testing.T) {
	const concurrency, perClient, clients, rounds = 10, 4, 5, 3000
	for _, test := range []struct {
		name       string
		maxClients int
		perClient  int64
	}{
		{"when every client has a place", 1_000_000, perClient},
		{"when clients come, go and share the overflow", 1, concurrency},
	} {
		t.Run(test.name, func(t *testing.T) {
			z, clock := newZone()
			p := strict
			p.Concurrency, p.PerClient, p.MaxClients = concurrency, perClient, test.maxClients
			p.PenaltyErrors = 1_000_000
			var all atomic.Int64
			var each [clients]atomic.Int64
			var admitted atomic.Int64
			together(func(g int) {
				random := rand.New(rand.NewPCG(1, uint64(g)))
				var held []func()
				for range rounds {
					n := random.IntN(clients)
					ticket, refusal := z.Admit(client(n), p)
					if refusal == nil {
						admitted.Add(1)
						if now := all.Add(1); now > concurrency {
							t.Errorf("%d in flight, want %d at most", now, concurrency)
						}
						if now := each[n].Add(1); now > test.perClient {
							t.Errorf("%d of one client in flight, want %d at most", now, test.perClient)
						}
						status := []int{0, 200, 401, 500}[random.IntN(4)]
						held = append(held, func() {
							all.Add(-1)
							each[n].Add(-1)
							ticket.Release(status)
							ticket.Release(status)
						})
					}
					if len(held) > 1 || refusal != nil {
						for _, release := range held {
							release()
						}
						held = nil
					}
					clock.advance(time.Second)
				}
				for _, release := range held {
					release()
				}
			})
			if n := z.InFlight(); n != 0 {
				t.Errorf("%d in flight at the end, want 0", n)
			}
			if admitted.Load() < concurrency {
				t.Errorf("only %d requests passed", admitted.Load())
			}
			// no client has kept a slot of its own
			for range perClient {
				admit(t, z, client(0), p)
			}
			refuse(t, z, client(0), p, memory.ClientOverCapacity)
		})
	}
}

func TestOneTicketReleasedByManyFreesOneSlot(t *testing.T) {
	z, _ := newZone()
	p := memory.Policy{Burst: 1}
	admit(t, z, client(1), p)
	ticket := admit(t, z, client(1), p)
	together(func(int) { ticket.Release(200) })
	if n := z.InFlight(); n != 1 {
		t.Errorf("%d in flight, want 1", n)
	}
}

func TestParallelErrorsBlockOnce(t *testing.T) {
	z, _ := newZone()
	p := strict
	p.PenaltyErrors = goroutines
	var tickets [goroutines]*memory.Ticket
	for g := range tickets {
		tickets[g] = admit(t, z, client(1), p)
	}
	var blocks atomic.Int64
	together(func(g int) {
		if tickets[g].Release(401) {
			blocks.Add(1)
		}
	})
	if n := blocks.Load(); n != 1 {
		t.Errorf("%d errors report the block, want exactly one", n)
	}
	refuse(t, z, client(1), p, memory.Blocked)
}
