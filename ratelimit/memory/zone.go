// Package memory decides, in this process's memory, which requests may pass:
// how fast each client may ask, how many requests may be in flight, and which
// clients are blocked. It knows nothing of HTTP but status codes.
package memory

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/queue"
)

// shards is how many locks the clients are spread over.
const shards = 64

// Zone is the state that handlers of one zone name share: it outlives
// configurations, while their policies do not.
type Zone struct {
	// elapsed is a clock that is never set, all decisions go by it; wall is the time
	// that people are told.
	elapsed func() time.Duration
	wall    func() time.Time
	seed    maphash.Seed

	shards [shards]shard

	clients   atomic.Int64 // in all shards
	offenders atomic.Int64

	inFlight atomic.Int64
	queue    queue.Queue
	// meanHold is the moving average of how long a request is in flight, in ns.
	meanHold atomic.Int64

	// blocksChanged is sent to, if there is room, when blocks are made or lifted.
	blocksChanged chan struct{}
}

// New returns an empty zone.
func New() *Zone {
	start := time.Now()
	// by the monotonic clock: nothing happens when the wall clock is set
	return NewZone(func() time.Duration { return time.Since(start) }, time.Now)
}

// NewZone returns an empty zone with clocks of the caller's: one that is never set,
// and one that tells the time.
func NewZone(elapsed func() time.Duration, wall func() time.Time) *Zone {
	z := &Zone{elapsed: elapsed, wall: wall, seed: maphash.MakeSeed(), blocksChanged: make(chan struct{}, 1)}
	for i := range z.shards {
		z.shards[i].init()
	}
	return z
}

// Admit decides whether a request of the client may pass. If it may, the ticket
// must be released exactly once when it has ended. A refused request counts for nothing.
func (z *Zone) Admit(who limit.Client, p *limit.Policy) limit.Decision {
	now := z.now()
	s, hash := z.shard(who.Key)
	if c, known := s.peek(who.Key, hash); known && c.refusable(p, now) {
		return c.refuse(p, now)
	}
	s.mu.Lock()
	if wait := s.blockedWait(who.Key, hash, p, now); wait > 0 {
		s.mu.Unlock()
		d := time.Duration(wait)
		return limit.Decision{Reason: limit.Blocked, RetryAfter: d, Quota: p.NoQuota(d)}
	}
	var e entry
	e.enter(z, s, who.Key, hash, p, now)
	c := &e.client
	forgiven := c.forgive(p, now)
	if c.rateWait(p, now) > 0 {
		e.leave(forgiven)
		return c.refuse(p, now)
	}
	// who comes while others wait does not get past them
	reason := limit.OverCapacity
	if p.Queue == 0 || z.queue.Len() == 0 {
		reason = z.takeSlots(c, p)
	}
	counts := reason == 0 || p.Queue > 0
	if counts {
		c.take(p, now)
	}
	e.leave(counts || forgiven)
	quota := c.quota(p, now)
	switch {
	case reason == 0:
		return limit.Decision{Ticket: &ticket{zone: z, who: who, policy: p, since: now, place: e.place}, Quota: quota}
	case p.Queue > 0:
		return z.line(&place{zone: z, who: who, charged: e.key, policy: p, quota: quota, since: now, reason: reason})
	default:
		return limit.Decision{Reason: reason, RetryAfter: z.slotWait(p, reason), Quota: quota}
	}
}

// takeSlots takes a slot of the client's and one of all, and tells which there is not.
func (z *Zone) takeSlots(c *client, p *limit.Policy) limit.Reason {
	if p.PerClient > 0 && int(c.inFlight) >= p.PerClient {
		return limit.ClientOverCapacity
	}
	for {
		n := z.inFlight.Load()
		if p.Concurrency > 0 && n >= int64(p.Concurrency) {
			return limit.OverCapacity
		}
		if z.inFlight.CompareAndSwap(n, n+1) {
			c.inFlight++
			return 0
		}
	}
}

// slotWait estimates when one of the slots that are all taken will be free. Slots
// held for D each come free every D/limit on the average; three times that finds
// one free in 19 cases of 20 if the ends are spread at random. Who waits already
// goes first.
func (z *Zone) slotWait(p *limit.Policy, reason limit.Reason) time.Duration {
	slots, ahead := p.Concurrency, 3+z.queue.Len()
	if reason == limit.ClientOverCapacity {
		slots, ahead = p.PerClient, 3
	}
	mean := time.Duration(z.meanHold.Load())
	if mean > time.Hour {
		return time.Minute // and no overflow
	}
	return min(time.Duration(ahead)*mean/time.Duration(max(1, slots)), time.Minute)
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

// InFlight is how many requests are in flight.
func (z *Zone) InFlight() int { return int(z.inFlight.Load()) }

// Waiting is how many requests wait for a slot.
func (z *Zone) Waiting() int { return z.queue.Len() }

// Clients is how many clients are remembered for their rate or what they have in flight.
func (z *Zone) Clients() int { return int(z.clients.Load()) }

func (z *Zone) now() int64 { return int64(z.elapsed()) }

// shard is where a client is, and the hash by which it is found there.
func (z *Zone) shard(key limit.Key) (s *shard, hash uint32) {
	index, hash := spread(uint32(maphash.Bytes(z.seed, key[:])))
	return &z.shards[index], hash
}

// spread makes a shard's number of a hash, by its lowest bits; the highest say where in the
// shard. A hash of 0, which a free slot has, is never left.
func spread(hash uint32) (shard int, nonzero uint32) { return int(hash % shards), hash | shards }
