package queue_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/queue"
)

func client(n byte) limit.Key { return limit.Key{n} }

// slots is something scarce: so many can be taken.
type slots struct{ free atomic.Int64 }

func (s *slots) take() limit.Reason {
	for {
		n := s.free.Load()
		if n == 0 {
			return limit.OverCapacity
		}
		if s.free.CompareAndSwap(n, n-1) {
			return 0
		}
	}
}

func (s *slots) giveBack() { s.free.Add(1) }

func join(t *testing.T, q *queue.Queue, s *slots, n byte, places int) *queue.Waiter {
	t.Helper()
	w := q.Join(client(n), &limit.Policy{Queue: places}, s.take, s.giveBack)
	if w == nil {
		t.Fatalf("client %d finds no place", n)
	}
	return w
}

func done(w *queue.Waiter) bool {
	select {
	case <-w.Done():
		return true
	default:
		return false
	}
}

func TestClientsAreServedInTurnHoweverMuchEachOfThemSent(t *testing.T) {
	var q queue.Queue
	var s slots
	waiters := make(map[byte][]*queue.Waiter)
	for _, n := range []byte{1, 1, 1, 1, 2, 2, 3} { // client 1 came first with most
		waiters[n] = append(waiters[n], join(t, &q, &s, n, 100))
	}
	var order []byte
	for range 7 {
		s.free.Add(1)
		q.Serve()
		for n, all := range waiters {
			if len(all) > 0 && done(all[0]) {
				order = append(order, n)
				waiters[n] = all[1:]
			}
		}
	}
	if want := string([]byte{1, 2, 3, 1, 2, 1, 1}); string(order) != want {
		t.Errorf("served in the order %v, want %v", order, []byte(want))
	}
	if q.Len() != 0 {
		t.Errorf("%d wait at the end", q.Len())
	}
}

func TestAFullQueue(t *testing.T) {
	for _, test := range []struct {
		name    string
		waiting []byte
		comes   byte
		place   bool
	}{
		{"has no place for one who has as many waiting as anybody", []byte{1, 1, 2, 2}, 1, false},
		{"has no place for a newcomer when everybody has one", []byte{1, 2, 3, 4}, 5, false},
		{"has none for the one who fills it", []byte{1, 1, 1, 1}, 1, false},
		{"has one for a newcomer when somebody has two", []byte{1, 1, 2, 3}, 4, true},
		{"has one for who has less than another, by two", []byte{1, 1, 1, 2}, 2, true},
		{"has none for who has less than another by one only", []byte{1, 1, 1, 2, 2}, 2, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var q queue.Queue
			var s slots
			var waiters []*queue.Waiter
			for _, n := range test.waiting {
				waiters = append(waiters, join(t, &q, &s, n, len(test.waiting)))
			}
			w := q.Join(client(test.comes), &limit.Policy{Queue: len(test.waiting)}, s.take, s.giveBack)
			if (w != nil) != test.place {
				t.Fatalf("there is a place: %v", w != nil)
			}
			if q.Len() != len(test.waiting) {
				t.Errorf("%d wait, want %d", q.Len(), len(test.waiting))
			}
			displaced := 0
			for i, waiter := range waiters {
				if done(waiter) {
					displaced++
					if test.waiting[i] != 1 || waiter.Leave() {
						t.Errorf("request %d of client %d was displaced, or served", i, test.waiting[i])
					}
				}
			}
			if (displaced == 1) != test.place {
				t.Errorf("%d were displaced", displaced)
			}
			if test.place && done(waiters[0]) {
				t.Error("the first request of the longest line was displaced, want its last")
			}
		})
	}
}

func TestWhoLeavesIsOutAtOnce(t *testing.T) {
	var q queue.Queue
	var s slots
	first, second := join(t, &q, &s, 1, 10), join(t, &q, &s, 1, 10)
	if first.Leave() || q.Len() != 1 {
		t.Fatalf("served, or %d wait after one of two has left", q.Len())
	}
	if first.Leave() || q.Len() != 1 {
		t.Error("leaving twice counts twice")
	}
	s.free.Add(1)
	q.Serve()
	if !done(second) || !second.Leave() || s.free.Load() != 0 {
		t.Error("the slot has not gone to who stayed")
	}
}

func TestOneWhoCannotBeServedHoldsUpNobodyElse(t *testing.T) {
	var q queue.Queue
	var s slots
	stuck := q.Join(client(1), &limit.Policy{Queue: 10}, func() limit.Reason { return limit.ClientOverCapacity }, func() {})
	behind := join(t, &q, &s, 2, 10)
	s.free.Add(1)
	q.Serve()
	if done(stuck) || !done(behind) {
		t.Error("the client behind one that cannot be served is not served")
	}
}

// After a reload there may be more for those who came since than for those before.
func TestOneWhoWaitsUnderAStricterLimitHoldsUpNobodyElse(t *testing.T) {
	var q queue.Queue
	var s slots
	before := &limit.Policy{Queue: 10, Concurrency: 1}
	full := func() limit.Reason { return limit.OverCapacity }
	stuck := q.Join(client(1), before, full, func() {})
	since := &limit.Policy{Queue: 10, Concurrency: 2}
	next := q.Join(client(2), since, s.take, s.giveBack)
	s.free.Add(1)
	q.Serve()
	if done(stuck) || !done(next) {
		t.Errorf("served: the one under the old limit %v, the one under the new %v", done(stuck), done(next))
	}
	stuck.Leave()

	// and when they are gone, nobody is asked in vain
	asked := 0
	for n := range byte(10) {
		q.Join(client(n), since, func() limit.Reason { asked++; return limit.OverCapacity }, func() {})
	}
	q.Serve()
	if asked != 1 {
		t.Errorf("%d were asked to take something when there was nothing for the first", asked)
	}
}

// Who is being served when it leaves must not take the slot with it.
func TestASlotTakenForOneWhoHasLeftGoesToTheNext(t *testing.T) {
	var q queue.Queue
	var s slots
	var leaver *queue.Waiter
	leaver = q.Join(client(1), &limit.Policy{Queue: 10}, func() limit.Reason {
		reason := s.take()
		if reason == 0 {
			leaver.Leave()
		}
		return reason
	}, func() {
		s.giveBack()
		q.Serve() // as a ticket's release does
	})
	next := join(t, &q, &s, 2, 10)
	s.free.Add(1)
	q.Serve()
	if leaver.Leave() {
		t.Error("who has left is served")
	}
	if !done(next) || s.free.Load() != 0 {
		t.Errorf("the next is served: %v, %d slots are free", done(next), s.free.Load())
	}
}

func TestNoWakeUpIsLost(t *testing.T) {
	const goroutines, rounds, capacity = 16, 2000, 3
	var q queue.Queue
	var s slots
	s.free.Store(capacity)
	var held, served atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for n := range rounds {
				var taking atomic.Bool // a request takes one thing at a time: it could but give back one
				take := func() limit.Reason {
					if !taking.CompareAndSwap(false, true) {
						t.Error("two take for one request at once")
					}
					defer taking.Store(false)
					runtime.Gosched()
					return s.take()
				}
				w := q.Join(client(byte(g%5)), &limit.Policy{Queue: goroutines}, take, func() { s.giveBack(); q.Serve() })
				if w == nil {
					t.Error("no place although there are as many as goroutines")
					return
				}
				q.Serve()
				if n%7 != 0 {
					<-w.Done() // hangs if a wake-up is lost
				}
				if w.Leave() {
					if now := held.Add(1); now > capacity {
						t.Errorf("%d hold a slot of %d", now, capacity)
					}
					served.Add(1)
					held.Add(-1)
					s.giveBack()
					q.Serve()
				}
			}
		})
	}
	wg.Wait()
	if s.free.Load() != capacity || q.Len() != 0 {
		t.Errorf("%d slots are free, %d wait, want %d and 0", s.free.Load(), q.Len(), capacity)
	}
	if served.Load() < goroutines*rounds/2 {
		t.Errorf("only %d were served", served.Load())
	}
}
