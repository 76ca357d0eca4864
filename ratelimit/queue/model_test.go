package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model is the queue as one would write it down: everybody in a list, in the order of
// arrival, and whose turn it is.
type model struct {
	waiting []request
	turn    []byte // clients, the next in front
	places  int
}

type request struct {
	id     int
	client byte
}

func (m *model) of(client byte) (ids []int) {
	for _, r := range m.waiting {
		if r.client == client {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// join returns whether there is a place, and who loses his for it: -1, nobody.
func (m *model) join(id int, client byte) (ok bool, displaced int) {
	displaced = -1
	if len(m.waiting) >= m.places {
		longest := m.turn[0]
		for _, c := range m.turn {
			if len(m.of(c)) > len(m.of(longest)) {
				longest = c
			}
		}
		line := m.of(longest)
		if len(line) <= len(m.of(client))+1 {
			return false, -1
		}
		displaced = line[len(line)-1]
		m.leave(displaced)
	}
	m.waiting = append(m.waiting, request{id, client})
	if !slices.Contains(m.turn, client) {
		m.turn = append(m.turn, client)
	}
	return true, displaced
}

func (m *model) leave(id int) {
	i := slices.IndexFunc(m.waiting, func(r request) bool { return r.id == id })
	client := m.waiting[i].client
	m.waiting = slices.Delete(m.waiting, i, i+1)
	if len(m.of(client)) == 0 {
		m.turn = slices.DeleteFunc(m.turn, func(c byte) bool { return c == client })
	}
}

// serve returns who gets one of the slots; some clients cannot use any.
func (m *model) serve(slots *int64, stuck map[byte]bool) (ids []int) {
	for misses := 0; misses < len(m.turn); {
		client := m.turn[0]
		if !stuck[client] && *slots == 0 {
			break
		}
		m.turn = append(m.turn[1:], client)
		if stuck[client] {
			misses++
			continue
		}
		misses = 0
		*slots--
		id := m.of(client)[0]
		ids = append(ids, id)
		m.leave(id)
	}
	return ids
}

// TestTheQueueIsAsItsModel lets random clients come, leave and be served, and compares
// after each step who waits, who has been served and who has been displaced.
func TestTheQueueIsAsItsModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		var q queue.Queue
		var s slots
		var free int64
		m := &model{places: 1 + random.IntN(6)}
		clients := byte(1 + random.IntN(4))
		stuck := make(map[byte]bool)
		waiters := make(map[int]*queue.Waiter)
		ended := make(map[int]bool)  // as the model says
		served := make(map[int]bool) // likewise
		for id := range 60 {
			var step string
			switch c := byte(random.IntN(int(clients))); random.IntN(5) {
			case 0, 1:
				step = fmt.Sprintf("client %d comes", c)
				w := q.Join(client(c), &limit.Policy{Queue: m.places}, func() limit.Reason {
					if stuck[c] {
						return limit.ClientOverCapacity
					}
					return s.take()
				}, s.giveBack)
				ok, displaced := m.join(id, c)
				if (w != nil) != ok {
					t.Fatalf("%s: there is a place: %v, want %v", step, w != nil, ok)
				}
				if displaced >= 0 {
					ended[displaced] = true
				}
				if w != nil {
					waiters[id] = w
				}
			case 2:
				if len(m.waiting) == 0 {
					continue
				}
				r := m.waiting[random.IntN(len(m.waiting))]
				step = fmt.Sprintf("request %d leaves", r.id)
				m.leave(r.id)
				ended[r.id] = true
				if waiters[r.id].Leave() {
					t.Fatalf("%s, and has been served", step)
				}
			case 3:
				step = fmt.Sprintf("client %d can or cannot be served", c)
				stuck[c] = !stuck[c]
			default:
				n := int64(random.IntN(4))
				step = fmt.Sprintf("%d slots come free", n)
				s.free.Add(n)
				free += n
			}
			q.Serve()
			for _, id := range m.serve(&free, stuck) {
				ended[id], served[id] = true, true
			}
			if q.Len() != len(m.waiting) || s.free.Load() != free {
				t.Fatalf("%s: %d wait, want %d; %d slots are free, want %d", step, q.Len(), len(m.waiting), s.free.Load(), free)
			}
			for id, w := range waiters {
				if done(w) != ended[id] {
					t.Fatalf("%s: request %d is done: %v, want %v", step, id, done(w), ended[id])
				}
			}
		}
		for id, w := range waiters {
			if ended[id] && w.Leave() != served[id] {
				t.Fatalf("request %d is served: want %v", id, served[id])
			}
		}
	}
}

func TestHowWaitingEnds(t *testing.T) {
	for _, test := range []struct {
		name       string
		slotAfter  time.Duration // 0: never
		leaveAfter time.Duration // 0: never
		want       queue.Outcome
		took       time.Duration
		slots      int64 // free in the end
	}{
		{"with a slot", 3 * time.Second, 0, queue.Served, 3 * time.Second, 0},
		{"when it has lasted long enough", 0, 0, queue.NotServed, 5 * time.Second, 0},
		{"when the slot comes too late", 6 * time.Second, 0, queue.NotServed, 5 * time.Second, 1},
		{"at once when the client leaves", 0, 2 * time.Second, queue.Gone, 2 * time.Second, 0},
		{"when the client leaves before the slot comes", 3 * time.Second, 2 * time.Second, queue.Gone, 2 * time.Second, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var q queue.Queue
				var s slots
				w := join(t, &q, &s, 1, 1)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				if test.slotAfter > 0 {
					time.AfterFunc(test.slotAfter, func() { s.free.Add(1); q.Serve() })
				}
				if test.leaveAfter > 0 {
					time.AfterFunc(test.leaveAfter, leave)
				}
				since := time.Now()
				got := w.Wait(ctx, 5*time.Second)
				if took := time.Since(since); got != test.want || took != test.took {
					t.Errorf("it ends with %v after %v, want %v after %v", got, took, test.want, test.took)
				}
				if q.Len() != 0 {
					t.Errorf("%d wait", q.Len())
				}
				time.Sleep(10 * time.Second)
				if n := s.free.Load(); n != test.slots {
					t.Errorf("%d slots are free in the end, want %d", n, test.slots)
				}
			})
		})
	}
}

// Who has been served and has left before it knew of that gives the slot back.
func TestASlotOfOneWhoHasLeftSinceIsGivenBack(t *testing.T) {
	var q queue.Queue
	var s slots
	w := join(t, &q, &s, 1, 1)
	s.free.Add(1)
	q.Serve()
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if got := w.Wait(ctx, time.Hour); got != queue.Gone || s.free.Load() != 1 {
		t.Errorf("it ends with %v, %d slots are free", got, s.free.Load())
	}
}

// Waiting that is over already is no waiting.
func TestNoTimeToWait(t *testing.T) {
	var q queue.Queue
	var s slots
	if got := join(t, &q, &s, 1, 1).Wait(t.Context(), -time.Second); got != queue.NotServed || q.Len() != 0 {
		t.Errorf("it ends with %v, %d wait", got, q.Len())
	}
}

func BenchmarkServeWhenNothingIsFree(b *testing.B) {
	for _, lines := range []int{1, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(lines, " clients wait"), func(b *testing.B) {
			var q queue.Queue
			var s slots
			for n := range lines {
				key := client(byte(n))
				key[1] = byte(n >> 8)
				q.Join(key, &limit.Policy{Queue: lines}, s.take, s.giveBack)
			}
			for b.Loop() {
				q.Serve()
			}
		})
	}
}
