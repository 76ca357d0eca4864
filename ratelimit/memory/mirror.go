package memory

import (
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// Owe notes what a client owes of its rate by another store's word: its next request
// would be due after that time.
func (z *Zone) Owe(key limit.Key, p *limit.Policy, due time.Duration) {
	if p.Interval > 0 {
		now := z.now()
		s, hash := z.shard(key)
		s.mu.Lock()
		var e entry
		e.enter(z, s, key, hash, p, now)
		e.client.nextDue = now + int64(due)
		e.leave(due > 0 || e.slot != nil)
	}
}

// Hold notes a request in flight that another store has admitted. Its ticket is to
// be released like any other.
func (z *Zone) Hold(who limit.Client, p *limit.Policy) limit.Ticket {
	now := z.now()
	s, hash := z.shard(who.Key)
	s.mu.Lock()
	var e entry
	e.enter(z, s, who.Key, hash, p, now)
	e.client.inFlight++
	z.inFlight.Add(1)
	e.leave(true)
	return &ticket{zone: z, who: who, place: e.place, policy: p, since: now}
}

// Due is what a client owes of its rate: see Owe.
func (z *Zone) Due(key limit.Key) time.Duration {
	now := z.now()
	s, hash := z.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, _ := s.clients.get(key, hash)
	return time.Duration(max(0, c.nextDue-now))
}

// Debts is what each client owes that owes something.
func (z *Zone) Debts() map[limit.Key]time.Duration {
	debts := make(map[limit.Key]time.Duration)
	for i := range z.shards {
		s := &z.shards[i]
		s.mu.Lock()
		now := z.now()
		for key, c := range s.clients.all() {
			if c.nextDue > now {
				debts[key] = time.Duration(c.nextDue - now)
			}
		}
		s.mu.Unlock()
	}
	return debts
}

// RetryAfter estimates when a slot that another store refused will be free.
func (z *Zone) RetryAfter(p *limit.Policy, reason limit.Reason) time.Duration {
	return z.slotWait(p, reason)
}

// Interface guard
var _ limit.Store = (*Zone)(nil)
