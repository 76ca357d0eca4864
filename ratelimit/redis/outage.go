package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// outage is what happened since Redis was lost, and must be told when it is back.
type outage struct {
	mu      sync.Mutex
	since   time.Time
	charges map[limit.Key]charge
	endings []ending
	lifts   []limit.Key
}

// charge is what a client took of its rate while this gateway was alone. Times are on
// the gateway's clock.
type charge struct {
	base time.Time // what it owed before, as when its next request was due
	due  time.Time // the same with what it took since
	p    *limit.Policy
}

// mostEndings bounds what is remembered of ended requests. What is forgotten costs
// a slot until its lease lapses, or an error that counted for this gateway only.
const mostEndings = 10_000

func (o *outage) init() { o.charges = make(map[limit.Key]charge) }

// take charges one request by GCRA at the whole budget's rate, to a client that
// owed so much before.
func (o *outage) take(key limit.Key, p *limit.Policy, now time.Time, owed time.Duration) {
	if p.Interval == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	c, known := o.charges[key]
	if !known {
		if len(o.charges) >= p.Places() {
			return
		}
		c.base = now.Add(owed)
		c.due = c.base
	}
	if c.due.Before(now) {
		c.due = now
	}
	c.due, c.p = c.due.Add(p.Interval), p
	o.charges[key] = c
}

// parts is what the client still owes: from before, and for what it took since.
func (c charge) parts(now time.Time) (before, since time.Duration) {
	before = max(0, c.base.Sub(now))
	return before, max(0, c.due.Sub(now)-before)
}

func (o *outage) ended(e ending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.endings) < mostEndings {
		o.endings = append(o.endings, e)
	}
}

func (o *outage) lifted(key limit.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.lifts) < mostEndings {
		o.lifts = append(o.lifts, key)
	}
}

// share is this gateway's part of a policy. One that has never heard of the others
// knows of as many as the policy says.
func (z *Zone) share(p *limit.Policy) *limit.Policy {
	return p.Share(max(p.Gateways, int(z.gateways.Load())))
}

// admitAlone decides without Redis.
func (z *Zone) admitAlone(who limit.Client, p *limit.Policy) limit.Decision {
	share := z.share(p)
	switch z.config.OnFailure {
	case Refuse:
		return limit.Decision{Reason: limit.Unavailable, RetryAfter: time.Second}
	case Allow:
		share.Interval, share.Concurrency, share.PerClient = 0, 0, 0
	}
	owed := z.local.Due(who.Key)
	d := z.local.Admit(who, share)
	if d.Quota.Limit > 0 {
		d.Quota.Limit = p.Burst // what the client is told does not change with our troubles
	}
	switch {
	case d.Ticket != nil:
		z.outage.take(who.Key, p, z.config.Clock(), owed)
		d.Ticket = z.wrap(who, who.Key, p, z.leases.name(z.gateway), d.Ticket)
	case d.Place != nil:
		d.Place = lonely{place: d.Place, zone: z, who: who, policy: p, owed: owed}
	}
	return d
}

// lonely is a request that waits for a slot of this gateway's share.
type lonely struct {
	place  limit.Place
	zone   *Zone
	who    limit.Client
	policy *limit.Policy
	owed   time.Duration
}

// Wait implements limit.Place.
func (l lonely) Wait(ctx context.Context) limit.Decision {
	z := l.zone
	d := l.place.Wait(ctx)
	if d.Ticket != nil {
		z.outage.take(l.who.Key, l.policy, z.config.Clock(), l.owed)
		d.Ticket = z.wrap(l.who, l.who.Key, l.policy, z.leases.name(z.gateway), d.Ticket)
	}
	return d
}

// fail notes that Redis did not answer. From now on nobody waits for it until it
// has answered in the background.
func (z *Zone) fail(err error) {
	if !z.down.CompareAndSwap(false, true) {
		return
	}
	z.outage.mu.Lock()
	z.outage.since = z.config.Clock()
	z.outage.mu.Unlock()
	if err == nil {
		err = errors.New("redis gave no answer")
	}
	if z.config.Down != nil {
		z.config.Down(err)
	}
}
