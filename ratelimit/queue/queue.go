// Package queue lets requests wait for something scarce and serves them in turn
// by client, so that who sends much at once does not keep the others waiting.
package queue

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// Queue is who waits. Its zero value is ready to use. It is safe for concurrent use.
type Queue struct {
	waiting atomic.Int64

	mu    sync.Mutex
	lines list.List // of *line; whose turn it is stands in front
	byKey map[limit.Key]*list.Element
	// limits is how many wait under which limit of all clients together. There are two
	// while requests from before a reload wait.
	limits map[int]int
	// serving: somebody hands out; again: there may be more by now.
	serving, again bool
}

// line is the requests of one client, first come first served.
type line struct {
	key     limit.Key
	waiters []*Waiter
}

// Waiter is one request that waits.
type Waiter struct {
	queue *Queue
	key   limit.Key
	limit int // of all, as the request's policy says
	// take tries to get what the request waits for, giveBack returns it.
	take     func() limit.Reason
	giveBack func()

	done  chan struct{}
	state state // guarded by the queue's mutex
}

type state int

const (
	waiting state = iota
	served
	displaced
	left
)

// Join lets a request of the client wait until take succeeds. That tells why it does
// not, OverCapacity if there is nothing for anybody, otherwise 0. At most p.Queue
// requests wait; in a full queue a client may displace the last request of one who
// has more waiting. It returns nil if there is no place. Who joins must see to it
// that Serve is called, at first after joining.
func (q *Queue) Join(key limit.Key, p *limit.Policy, take func() limit.Reason, giveBack func()) *Waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if int(q.waiting.Load()) >= p.Queue && !q.displace(key) {
		return nil
	}
	w := &Waiter{queue: q, key: key, limit: p.Concurrency, take: take, giveBack: giveBack, done: make(chan struct{})}
	e, ok := q.byKey[key]
	if !ok {
		if q.byKey == nil {
			q.byKey, q.limits = make(map[limit.Key]*list.Element), make(map[int]int)
		}
		e = q.lines.PushBack(&line{key: key})
		q.byKey[key] = e
	}
	l := e.Value.(*line)
	l.waiters = append(l.waiters, w)
	q.limits[w.limit]++
	q.waiting.Add(1)
	return w
}

// displace makes room for a request of the client at the cost of the client that
// has most waiting, if that is no injustice.
func (q *Queue) displace(key limit.Key) bool {
	var own int
	if e, ok := q.byKey[key]; ok {
		own = len(e.Value.(*line).waiters)
	}
	var longest *line
	for e := q.lines.Front(); e != nil; e = e.Next() {
		if l := e.Value.(*line); longest == nil || len(l.waiters) > len(longest.waiters) {
			longest = l
		}
	}
	if longest == nil || len(longest.waiters) <= own+1 {
		return false
	}
	q.end(longest.waiters[len(longest.waiters)-1], displaced)
	return true
}

// Serve hands out what there is, one request of each client in turn, until nobody
// gets any more. To be called whenever there may be something.
func (q *Queue) Serve() {
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.serving {
		q.again = true
		return
	}
	q.serving = true
	defer func() { q.serving = false }()
	for more := true; more; more = q.again {
		q.again = false
		q.serveInTurn()
	}
}

func (q *Queue) serveInTurn() {
	for misses := 0; misses < q.lines.Len(); {
		front := q.lines.Front()
		w := front.Value.(*line).waiters[0]
		q.mu.Unlock() // taking may be slow, and nobody should wait for it to leave
		reason := w.take()
		q.mu.Lock()
		if reason == limit.OverCapacity && len(q.limits) == 1 {
			return // it stays the client's turn
		}
		q.lines.MoveToBack(front) // unless nobody of its line is left
		switch {
		case reason != 0:
			misses++
		case w.state == waiting:
			q.end(w, served)
			misses = 0
		default: // it has left or was displaced meanwhile
			q.mu.Unlock()
			w.giveBack() // which may call Serve
			q.mu.Lock()
			misses = 0
		}
	}
}

// end takes a waiter out of its line.
func (q *Queue) end(w *Waiter, s state) {
	w.state = s
	close(w.done)
	q.waiting.Add(-1)
	if q.limits[w.limit]--; q.limits[w.limit] == 0 {
		delete(q.limits, w.limit)
	}
	e := q.byKey[w.key]
	l := e.Value.(*line)
	for i, other := range l.waiters {
		if other == w {
			l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
			break
		}
	}
	if len(l.waiters) == 0 {
		q.lines.Remove(e)
		delete(q.byKey, w.key)
	}
}

// Len is how many requests wait.
func (q *Queue) Len() int { return int(q.waiting.Load()) }

// Outcome is how waiting ends.
type Outcome int

// Outcomes of waiting.
const (
	Served    Outcome = iota + 1 // the request has got what it waited for
	NotServed                    // it has waited long enough, or was displaced
	Gone                         // the context is done: nobody waits any more
)

// Wait waits for so long at most. Whoever is gone gets nothing, and keeps nothing.
func (w *Waiter) Wait(ctx context.Context, timeout time.Duration) Outcome {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-w.Done():
	case <-timer.C:
	case <-ctx.Done():
	}
	served := w.Leave()
	switch {
	case ctx.Err() == nil && served:
		return Served
	case ctx.Err() == nil:
		return NotServed
	case served:
		w.giveBack()
	}
	return Gone
}

// Done is closed when the waiter has been served or displaced.
func (w *Waiter) Done() <-chan struct{} { return w.done }

// Leave ends the waiting, and reports whether the request has got what it waited for.
func (w *Waiter) Leave() bool {
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	if w.state == waiting {
		w.queue.end(w, left)
	}
	return w.state == served
}
