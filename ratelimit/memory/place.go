package memory

import (
	"context"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/queue"
)

// place is a request that waits for a slot. Its rate is taken already.
type place struct {
	zone    *Zone
	who     limit.Client
	charged limit.Key // whose rate is taken
	policy  *limit.Policy
	quota   limit.Quota
	since   int64
	reason  limit.Reason // why it waits
	waiter  *queue.Waiter
	ticket  *ticket // once served
}

// line gives the request a place in the queue, or refuses it if there is none.
func (z *Zone) line(pl *place) limit.Decision {
	pl.waiter = z.queue.Join(pl.who.Key, pl.policy, pl.take, pl.giveBack)
	if pl.waiter == nil {
		return pl.refuse()
	}
	z.queue.Serve() // a slot may have come free just before the request joined
	return limit.Decision{Place: pl, Quota: pl.quota}
}

// take tries to get the slots, and tells which there is not. The queue calls it.
func (pl *place) take() limit.Reason {
	z := pl.zone
	now := z.now()
	s, hash := z.shard(pl.who.Key)
	s.mu.Lock()
	var e entry
	e.enter(z, s, pl.who.Key, hash, pl.policy, now)
	reason := z.takeSlots(&e.client, pl.policy)
	e.leave(reason == 0)
	if reason == 0 {
		pl.ticket = &ticket{zone: z, who: pl.who, place: e.place, policy: pl.policy, since: now}
	}
	return reason
}

func (pl *place) giveBack() { pl.ticket.Release(0) }

// Wait implements limit.Place.
func (pl *place) Wait(ctx context.Context) limit.Decision {
	switch pl.waiter.Wait(ctx, pl.policy.QueueWait-time.Duration(pl.zone.now()-pl.since)) {
	case queue.Served:
		if wait := pl.zone.BlockedFor(pl.who.Key, pl.policy); wait > 0 {
			pl.giveBack()
			return limit.Decision{Reason: limit.Blocked, RetryAfter: wait, Quota: pl.policy.NoQuota(wait)}
		}
		return limit.Decision{Ticket: pl.ticket, Quota: pl.quota}
	case queue.Gone:
		// its rate stays taken: else a client could come and leave as often as it likes
		return limit.Decision{Reason: limit.Gone, Quota: pl.quota}
	default:
		return pl.refuse()
	}
}

// refuse takes back what the request took of its client's rate, but for what time has
// paid off since: else more would pass than the rate allows.
func (pl *place) refuse() limit.Decision {
	z, p := pl.zone, pl.policy
	now := z.now()
	s, hash := z.shard(pl.charged)
	s.mu.Lock()
	var c client
	if slot := s.clients.find(pl.charged, hash); slot != nil { // else it has been forgotten as idle
		c = slot.client()
		owed := pl.since + int64(pl.quota.Reset) - now
		c.nextDue -= min(int64(p.Interval), max(0, owed))
		slot.set(c)
	}
	s.mu.Unlock()
	return limit.Decision{Reason: pl.reason, RetryAfter: z.slotWait(p, pl.reason), Quota: c.quota(p, now)}
}
