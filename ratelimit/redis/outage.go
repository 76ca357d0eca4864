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
	mu    sync.Mutex
	since time.Time

	charges charges
	endings untold[*ending]
	lifts   untold[limit.Key]
}

func (o *outage) begin(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since = now
}

func (o *outage) began() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.since
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
		z.outage.charges.take(who.Key, p, z.config.Clock(), owed)
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
		z.outage.charges.take(l.who.Key, l.policy, z.config.Clock(), l.owed)
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
	z.outage.begin(z.config.Clock())
	if err == nil {
		err = errors.New("redis gave no answer")
	}
	if z.config.Down != nil {
		z.config.Down(err)
	}
}
