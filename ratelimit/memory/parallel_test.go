package memory_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
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
	p := limit.Policy{Interval: time.Hour, Burst: 100}
	var admitted atomic.Int64
	together(func(int) {
		for range 200 {
			if ticket, refusal := try(z, client(1), p); refusal == nil {
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
	for _, test := range []struct {
		name               string
		clients, perClient int
		maxClients         int
		most               int64 // of one client in flight
	}{
		{"when every client has a place of its own", 5, 4, 1_000_000, 4},
		{"when clients come, go and share the overflow, where they count too", 300, 2, 1, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			z, clock := newZone()
			p := strict
			p.Concurrency, p.PerClient, p.MaxClients = 10, test.perClient, test.maxClients
			p.Penalty = 1_000_000
			flights := &flights{each: make([]atomic.Int64, test.clients)}
			together(func(g int) {
				random := rand.New(rand.NewPCG(1, uint64(g)))
				var held []func()
				for range 3000 {
					n := random.IntN(test.clients)
					ticket, refusal := try(z, client(n), p)
					if refusal == nil {
						flights.begin(t, n, int64(p.Concurrency), test.most)
						status := []int{0, 200, 401, 500}[random.IntN(4)]
						held = append(held, func() {
							flights.end(n)
							ticket.Release(status)
							ticket.Release(status)
						})
					}
					if len(held) == 2 || refusal != nil {
						release(held)
						held = nil
					}
					clock.advance(time.Second)
				}
				release(held)
			})
			if n := flights.begun.Load(); n < 1000 {
				t.Errorf("only %d requests passed", n)
			}
			if n := z.InFlight(); n != 0 {
				t.Errorf("%d in flight at the end, want 0", n)
			}
			p.PerClient = 1
			for n := range test.clients {
				admit(t, z, client(n), p).Release(200) // has kept no slot of its own
			}
		})
	}
}

// flights counts requests in flight apart from the zone.
type flights struct {
	begun, all atomic.Int64
	each       []atomic.Int64
}

func (f *flights) begin(t *testing.T, n int, mostOfAll, mostOfOne int64) {
	f.begun.Add(1)
	if now := f.all.Add(1); now > mostOfAll {
		t.Errorf("%d in flight, want %d at most", now, mostOfAll)
	}
	if now := f.each[n].Add(1); now > mostOfOne {
		t.Errorf("%d of one client in flight, want %d at most", now, mostOfOne)
	}
}

func (f *flights) end(n int) {
	f.all.Add(-1)
	f.each[n].Add(-1)
}

func release(held []func()) {
	for _, f := range held {
		f()
	}
}

func TestOneTicketReleasedByManyFreesOneSlot(t *testing.T) {
	z, _ := newZone()
	p := limit.Policy{Burst: 1}
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
	p.Penalty = goroutines
	var tickets [goroutines]limit.Ticket
	for g := range tickets {
		tickets[g] = admit(t, z, client(1), p)
	}
	var blocks atomic.Int64
	together(func(g int) {
		if tickets[g].Release(401) != nil {
			blocks.Add(1)
		}
	})
	if n := blocks.Load(); n != 1 {
		t.Errorf("%d errors report the block, want exactly one", n)
	}
	refuse(t, z, client(1), p, limit.Blocked)
}
