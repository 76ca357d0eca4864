// Package storetest has the tests that every limit.Store must pass.
package storetest

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// Subject is a store under test, and how its time passes.
type Subject struct {
	Store limit.Store
	// Advance lets at least so much time pass.
	Advance func(time.Duration)
	// Frozen: time passes only by Advance, so that waits are exact.
	Frozen bool
}

// Run runs the tests, each with an empty store.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"exactly burst requests pass at once from idle", burst},
		{"who waits as long as told is let in", waitAsTold},
		{"a client that is refused owes nothing for it", refusedIsFree},
		{"clients do not pay for each other", apart},
		{"the quota counts down", quota},
		{"a stricter policy's debt is forgiven down to the new burst", forgive},
		{"slots of all are limited, and come back", capacity},
		{"slots of one client are limited, and come back", perClient},
		{"only the first release counts", releaseOnce},
		{"errors in a row block", errorsInARow},
		{"a success ends the row", successEndsTheRow},
		{"what is nobody's fault does not count", neutral},
		{"errors in a window block in spite of successes", errorsInWindow},
		{"old errors do not count", oldErrors},
		{"blocks end, and the next is twice as long", doubling},
		{"blocks by hand are made, listed and lifted", byHand},
		{"the wait for a block holds for the rate too", blockAndRate},
		{"a full table counts newcomers with their neighbours", fullTable},
		{"who waits in the queue gets the slot", queued},
		{"who waits too long gets his rate back", queueTimeout},
		{"who leaves the queue is gone", queueGone},
		{"who is blocked while he waits is not served", queueBlocked},
		{"parallel requests never get more slots or rate than there are", parallel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

const forever = time.Hour // longer than any test

// Client is the nth client: no two share neighbours.
func Client(n int) limit.Client {
	var key limit.Key
	key[0] = 0x20
	binary.BigEndian.PutUint16(key[2:], uint16(n))
	return limit.Client{Key: key}
}

func (s Subject) pass(t *testing.T, n int, p limit.Policy) limit.Ticket {
	t.Helper()
	d := s.Store.Admit(Client(n), &p)
	if d.Ticket == nil {
		t.Fatalf("client %d is refused (%v, retry after %v), want it admitted", n, d.Reason, d.RetryAfter)
	}
	return d.Ticket
}

func (s Subject) refuse(t *testing.T, n int, p limit.Policy, reason limit.Reason) limit.Decision {
	t.Helper()
	d := s.Store.Admit(Client(n), &p)
	if d.Ticket != nil {
		d.Ticket.Release(0)
		t.Fatalf("client %d is admitted, want it refused: %v", n, reason)
	}
	if d.Reason != reason {
		t.Fatalf("client %d is refused as %v, want %v", n, d.Reason, reason)
	}
	return d
}

func (s Subject) answer(t *testing.T, n int, p limit.Policy, status int) *limit.Block {
	t.Helper()
	return s.pass(t, n, p).Release(status)
}

// exhaust lets the client send requests until one is refused, and returns how many passed.
func (s Subject) exhaust(n int, p limit.Policy) (passed int) {
	for {
		d := s.Store.Admit(Client(n), &p)
		if d.Ticket == nil {
			return passed
		}
		d.Ticket.Release(200)
		passed++
	}
}

func burst(t *testing.T, s Subject) {
	p := limit.Policy{Interval: forever, Burst: 10}
	for range 10 {
		s.pass(t, 1, p).Release(200)
	}
	s.refuse(t, 1, p, limit.RateLimited)
}

func waitAsTold(t *testing.T, s Subject) {
	p := limit.Policy{Interval: 60 * time.Millisecond, Burst: 2}
	for range 3 {
		s.exhaust(1, p)
		d := s.refuse(t, 1, p, limit.RateLimited)
		if d.RetryAfter <= 0 || d.RetryAfter > p.Interval {
			t.Fatalf("told to wait %v, want at most %v", d.RetryAfter, p.Interval)
		}
		if s.Frozen {
			s.Advance(d.RetryAfter - time.Microsecond)
			s.refuse(t, 1, p, limit.RateLimited)
			s.Advance(time.Microsecond)
		} else {
			s.Advance(d.RetryAfter)
		}
		s.pass(t, 1, p).Release(200)
	}
}

func refusedIsFree(t *testing.T, s Subject) {
	p := limit.Policy{Interval: forever, Burst: 1}
	s.pass(t, 1, p).Release(200)
	first := s.refuse(t, 1, p, limit.RateLimited).RetryAfter
	for range 20 {
		if wait := s.refuse(t, 1, p, limit.RateLimited).RetryAfter; wait > first {
			t.Fatalf("the wait grows from %v to %v", first, wait)
		}
	}
	full := limit.Policy{Interval: forever, Burst: 2, Concurrency: 1}
	held := s.pass(t, 2, full)
	s.refuse(t, 2, full, limit.OverCapacity)
	held.Release(200)
	s.pass(t, 2, full).Release(200) // the refused one took no rate
	s.refuse(t, 2, full, limit.RateLimited)
}

func apart(t *testing.T, s Subject) {
	p := limit.Policy{Interval: forever, Burst: 1}
	for n := range 5 {
		s.pass(t, n, p).Release(200)
	}
	s.refuse(t, 3, p, limit.RateLimited)
}

func quota(t *testing.T, s Subject) {
	p := limit.Policy{Interval: forever, Burst: 3}
	for want := 2; want >= 0; want-- {
		d := s.Store.Admit(Client(1), &p)
		if d.Quota.Limit != 3 || d.Quota.Remaining != want {
			t.Fatalf("%+v, want %d of 3 left", d.Quota, want)
		}
		if span := time.Duration(3-want) * forever; d.Quota.Reset > span || d.Quota.Reset < span-time.Minute {
			t.Fatalf("all is back in %v, want %v", d.Quota.Reset, span)
		}
		d.Ticket.Release(200)
	}
}

func forgive(t *testing.T, s Subject) {
	s.pass(t, 1, limit.Policy{Interval: 1000 * forever, Burst: 1}).Release(200)
	p := limit.Policy{Interval: forever, Burst: 1}
	if wait := s.refuse(t, 1, p, limit.RateLimited).RetryAfter; wait > forever {
		t.Fatalf("told to wait %v under a policy that never asks for more than %v", wait, forever)
	}
}

func capacity(t *testing.T, s Subject) {
	p := limit.Policy{Burst: 1, Concurrency: 2}
	first := s.pass(t, 1, p)
	second := s.pass(t, 2, p)
	s.refuse(t, 3, p, limit.OverCapacity)
	if n := s.Store.InFlight(); n != 2 {
		t.Errorf("%d requests in flight, want 2", n)
	}
	first.Release(500)
	third := s.pass(t, 3, p)
	s.refuse(t, 1, p, limit.OverCapacity)
	second.Release(0)
	third.Release(0)
	if n := s.Store.InFlight(); n != 0 {
		t.Errorf("%d requests in flight, want 0", n)
	}
}

func perClient(t *testing.T, s Subject) {
	p := limit.Policy{Burst: 1, PerClient: 1, Concurrency: 10}
	held := s.pass(t, 1, p)
	s.refuse(t, 1, p, limit.ClientOverCapacity)
	s.pass(t, 2, p).Release(200)
	held.Release(200)
	s.pass(t, 1, p).Release(200)
}

func releaseOnce(t *testing.T, s Subject) {
	p := limit.Policy{Burst: 1, Concurrency: 1, Penalty: 2, PenaltyTime: forever, PenaltyStatus: []int{401}}
	ticket := s.pass(t, 1, p)
	for range 5 {
		if ticket.Release(401) != nil {
			t.Fatal("one error, released often, blocks")
		}
	}
	held := s.pass(t, 2, p)
	ticket.Release(200)
	s.refuse(t, 3, p, limit.OverCapacity)
	held.Release(200)
}

func fullTable(t *testing.T, s Subject) {
	p := limit.Policy{Interval: forever, Burst: 1, MaxClients: 20}
	for n := range 18 {
		s.pass(t, n, p).Release(200)
	}
	neighbour := func(n byte) limit.Client {
		c := Client(1000)
		c.Key[15] = n
		return c
	}
	if d := s.Store.Admit(neighbour(1), &p); d.Ticket == nil {
		t.Fatalf("the first of the neighbours is told %v", d.Reason)
	} else {
		d.Ticket.Release(200)
	}
	if d := s.Store.Admit(neighbour(2), &p); d.Reason != limit.RateLimited {
		t.Fatalf("the second of the neighbours is told %v, want that they share a rate", d.Reason)
	}
	s.refuse(t, 3, p, limit.RateLimited) // whoever is known stays so
}

func parallel(t *testing.T, s Subject) {
	p := limit.Policy{Interval: forever, Burst: 30, Concurrency: 7, PerClient: 7}
	var mu sync.Mutex
	var passed, inFlight, most int
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 40 {
				d := s.Store.Admit(Client(1), &p)
				if d.Ticket == nil {
					continue
				}
				mu.Lock()
				passed++
				inFlight++
				most = max(most, inFlight)
				mu.Unlock()
				mu.Lock()
				inFlight--
				mu.Unlock()
				d.Ticket.Release(200)
			}
		})
	}
	all.Wait()
	if passed > 30 || most > 7 {
		t.Errorf("%d passed, %d at once, want at most 30 and 7", passed, most)
	}
	passed += s.exhaust(1, p)
	if passed != 30 {
		t.Errorf("%d passed in all, want 30", passed)
	}
}
