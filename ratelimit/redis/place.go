package redis

import (
	"context"
	"math/rand/v2"
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
	since   time.Time
	due     int64        // what was due then by the clock of Redis, in microseconds
	reason  limit.Reason // why it waits
	waiter  *queue.Waiter
	ticket  *ticket       // once served
	waited  time.Duration // for Redis, before it joined
}

// line gives the request a place in the queue, or refuses it if there is none.
func (z *Zone) line(pl *place) limit.Decision {
	pl.waiter = z.queue.Join(pl.who.Key, pl.policy, pl.take, pl.giveBack)
	if pl.waiter == nil {
		return pl.refuse()
	}
	z.queue.Serve() // a slot may have come free just before the request joined
	if z.polling.CompareAndSwap(false, true) {
		go z.poll()
	}
	return limit.Decision{Place: pl, Quota: pl.quota}
}

// poll looks for slots that other gateways have set free, as long as anybody waits
// here. Gateways look at different times.
func (z *Zone) poll() {
	for z.queue.Len() > 0 {
		time.Sleep(50*time.Millisecond + rand.N(50*time.Millisecond))
		z.queue.Serve()
	}
	z.polling.Store(false)
	if z.queue.Len() > 0 && z.polling.CompareAndSwap(false, true) {
		go z.poll() // who joined meanwhile took it for granted
	}
}

// take tries to get the slots, and tells why there is none. The queue calls it.
func (pl *place) take() limit.Reason {
	z := pl.zone
	lease := z.leases.name(z.gateway)
	if !z.down.Load() {
		a, err := z.ask(pl.who, pl.policy, lease, "s")
		if err == nil {
			if a.reason == 0 {
				pl.ticket = z.newTicket(pl.who, a.place, pl.policy, lease)
			}
			return a.reason
		}
		z.fail(err)
	}
	alone := *z.share(pl.policy)
	alone.Interval, alone.Queue = 0, 0
	d := z.local.Admit(pl.who, &alone)
	if d.Ticket != nil {
		pl.ticket = z.wrap(pl.who, pl.who.Key, pl.policy, lease, d.Ticket)
	}
	return d.Reason
}

func (pl *place) giveBack() { pl.ticket.Release(0) }

// Wait implements limit.Place.
func (pl *place) Wait(ctx context.Context) limit.Decision {
	switch pl.waiter.Wait(ctx, pl.policy.QueueWait-pl.zone.config.Clock().Sub(pl.since)) {
	case queue.Served:
		if wait := pl.zone.local.BlockedFor(pl.who.Key, pl.policy); wait > 0 {
			pl.giveBack()
			return limit.Decision{Reason: limit.Blocked, RetryAfter: wait, Quota: pl.policy.NoQuota(wait)}
		}
		pl.ticket.waited = pl.waited
		return limit.Decision{Ticket: pl.ticket, Quota: pl.quota}
	case queue.Gone:
		// its rate stays taken: else a client could come and leave as often as it likes
		return limit.Decision{Reason: limit.Gone, Quota: pl.quota}
	default:
		return pl.refuse()
	}
}

// refuse takes back what the request took of its client's rate, but for what time has
// paid off since. Without Redis it stays taken, which harms nobody else.
func (pl *place) refuse() limit.Decision {
	z, quota := pl.zone, pl.quota
	if pl.policy.Interval > 0 && !z.down.Load() {
		ctx, cancel := z.deadline()
		defer cancel()
		due, err := refundScript.Run(ctx, z.config.Client, []string{z.keys.rates},
			z.keys.alias(pl.charged), micros(pl.policy.Interval), pl.due).Int64()
		if err != nil {
			z.fail(err)
		} else {
			left := time.Duration(due) * time.Microsecond
			z.local.Owe(pl.charged, pl.policy, left)
			quota = pl.policy.Quota(left)
		}
	}
	return limit.Decision{Reason: pl.reason, RetryAfter: z.local.RetryAfter(pl.policy, pl.reason), Quota: quota}
}
