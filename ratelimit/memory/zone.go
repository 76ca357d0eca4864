package memory

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// shards is how many locks the clients are spread over.
const shards = 64

// Zone is the state that handlers of one zone name share: it outlives
// configurations, while their policies do not.
type Zone struct {
	clock func() time.Time
	epoch time.Time
	seed  maphash.Seed

	shards [shards]shard

	inFlight atomic.Int64
	// meanHold is the moving average of how long a request is in flight, in ns.
	meanHold atomic.Int64

	claimsMu sync.Mutex
	claims   map[any]*claim
}

// shard is a part of the clients under a lock of its own.
type shard struct {
	mu      sync.Mutex
	clients map[Key]client
	// overflow is the one client that all those share for whom there is no room.
	overflow client
}

// claim is the policy that the handlers of one configuration agree on.
type claim struct {
	settings string
	handlers int
}

// NewZone returns an empty zone that tells the time by clock.
func NewZone(clock func() time.Time) *Zone {
	z := &Zone{
		clock:  clock,
		epoch:  clock(),
		seed:   maphash.MakeSeed(),
		claims: make(map[any]*claim),
	}
	for i := range z.shards {
		z.shards[i].clients = make(map[Key]client)
	}
	return z
}

// Claim says that a handler of configuration (any comparable value that stands
// for it) uses the zone with these settings. Handlers of one configuration must
// have the same; those of the configuration before may differ.
func (z *Zone) Claim(configuration any, settings string) error {
	z.claimsMu.Lock()
	defer z.claimsMu.Unlock()
	c, ok := z.claims[configuration]
	if !ok {
		c = &claim{settings: settings}
		z.claims[configuration] = c
	}
	if c.settings != settings {
		return errors.New("two handlers use the zone with different limits: give one of them a zone name of its own")
	}
	c.handlers++
	return nil
}

// Unclaim takes one successful Claim back.
func (z *Zone) Unclaim(configuration any) {
	z.claimsMu.Lock()
	defer z.claimsMu.Unlock()
	if c, ok := z.claims[configuration]; ok {
		c.handlers--
		if c.handlers == 0 {
			delete(z.claims, configuration)
		}
	}
}

// Destruct implements caddy.Destructor. Requests may still hold the zone, so
// there is nothing to take down: it has no goroutine and the rest is garbage.
func (z *Zone) Destruct() error { return nil }

// Admit decides whether a request of the client may pass. If so it returns a
// ticket, which the caller must Release exactly once when the request has ended.
// A refused request counts for nothing.
func (z *Zone) Admit(key Key, p Policy) (*Ticket, *Refusal) {
	now := z.now()
	s := z.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()

	c, fits := s.lookup(key, p, now)
	if c.forgive(p, now) {
		s.store(key, c, fits)
	}
	if wait := c.blockedWait(p, now); wait > 0 {
		return nil, &Refusal{Blocked, time.Duration(wait)}
	}
	if wait := c.rateWait(p, now); p.Interval > 0 && wait > 0 {
		return nil, &Refusal{RateLimited, time.Duration(wait)}
	}
	if p.PerClient > 0 && int(c.inFlight) >= p.PerClient {
		return nil, &Refusal{ClientOverCapacity, z.slotWait(p.PerClient)}
	}
	if !z.acquire(p.Concurrency) {
		return nil, &Refusal{OverCapacity, z.slotWait(p.Concurrency)}
	}
	if p.Interval > 0 {
		c.take(p, now)
	}
	c.inFlight++
	s.store(key, c, fits)
	return &Ticket{zone: z, key: key, policy: p, since: now, overflow: !fits}, nil
}

// InFlight is how many requests are in flight.
func (z *Zone) InFlight() int { return int(z.inFlight.Load()) }

// Clients is how many clients are remembered.
func (z *Zone) Clients() int {
	n := 0
	for i := range z.shards {
		s := &z.shards[i]
		s.mu.Lock()
		n += len(s.clients)
		s.mu.Unlock()
	}
	return n
}

func (z *Zone) now() int64 { return int64(z.clock().Sub(z.epoch)) }

func (z *Zone) shard(key Key) *shard {
	return &z.shards[maphash.Comparable(z.seed, key)%shards]
}

// acquire takes one of limit slots, if one is free.
func (z *Zone) acquire(limit int) bool {
	for {
		n := z.inFlight.Load()
		if limit > 0 && n >= int64(limit) {
			return false
		}
		if z.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// slotWait estimates when one of limit slots, all taken, will be free. Slots
// held for D each come free every D/limit on the average; three times that finds
// one free in 19 cases of 20 if the ends are spread at random.
func (z *Zone) slotWait(limit int) time.Duration {
	return min(3*time.Duration(z.meanHold.Load())/time.Duration(limit), time.Minute)
}

// lookup returns what is known of the client and whether there is room to
// remember it under its own key.
func (s *shard) lookup(key Key, p Policy, now int64) (c client, fits bool) {
	if c, ok := s.clients[key]; ok {
		return c, true
	}
	s.forgetSome(now)
	if p.MaxClients > 0 && len(s.clients) >= max(1, p.MaxClients/shards) {
		return s.overflow, false
	}
	return client{}, true
}

func (s *shard) store(key Key, c client, fits bool) {
	if fits {
		s.clients[key] = c
	} else {
		s.overflow = c
	}
}

// forgetSome drops a few clients that need no remembering. Each new client pays
// for looking at eight old ones (Go's map order is random enough to reach them
// all), so that there is no sweep that stops the world, and no goroutine.
func (s *shard) forgetSome(now int64) {
	looks := 8
	for key, c := range s.clients {
		if c.forgettable(now) {
			delete(s.clients, key)
		}
		if looks--; looks == 0 {
			return
		}
	}
}

// Ticket is one admitted request.
type Ticket struct {
	zone     *Zone
	key      Key
	policy   Policy
	since    int64
	overflow bool
	released atomic.Bool
}

// Release ends the request that the ticket was given for. status is the answer
// that the client got, 0 if it got none. It reports whether the client is now
// blocked. Only the first call counts.
func (t *Ticket) Release(status int) (blocked bool) {
	if !t.released.CompareAndSwap(false, true) {
		return false
	}
	z := t.zone
	now := z.now()
	z.inFlight.Add(-1)
	z.observeHold(now - t.since)

	s := z.shard(t.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.overflow
	if !t.overflow {
		c = s.clients[t.key] // still there: a client with a request in flight is not forgotten
	}
	c.inFlight--
	// those who share the overflow must not be blocked for each other's errors
	if !t.overflow {
		blocked = c.settle(t.policy, status, now)
	}
	s.store(t.key, c, !t.overflow)
	return blocked
}

// observeHold moves the average by an eighth of the difference, as TCP does with
// round-trip times. A lost update among racing ones does no harm.
func (z *Zone) observeHold(ns int64) {
	mean := z.meanHold.Load()
	if mean == 0 {
		mean = ns
	}
	z.meanHold.Store(mean + (ns-mean)/8)
}
