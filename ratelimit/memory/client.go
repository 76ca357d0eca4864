package memory

import (
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// client is what is remembered of a client that behaves. Times are nanoseconds on
// the zone's own clock.
type client struct {
	// nextDue is GCRA's theoretical arrival time: when the client's next request
	// would be due had it sent all its requests evenly (ITU-T I.371, virtual
	// scheduling form).
	nextDue  int64
	inFlight int32
}

// rateWait is how long the client must wait until its next request conforms; 0
// or less if it does now. From idle exactly burst requests conform at once.
func (c *client) rateWait(p *limit.Policy, now int64) int64 {
	if p.Interval == 0 {
		return 0
	}
	tolerance := int64(p.Burst-1) * int64(p.Interval)
	return c.nextDue - tolerance - now
}

// forgive cuts what the client owes down to what it could owe under p: it may come
// from a stricter rate, before a reload, or from before the clock was set back. It
// reports whether there was something to forgive.
func (c *client) forgive(p *limit.Policy, now int64) bool {
	most := c.most(p, now)
	if c.nextDue <= most {
		return false
	}
	c.nextDue = most
	return true
}

// most is when the next request is due of a client that has used up all it may.
func (*client) most(p *limit.Policy, now int64) int64 {
	return now + int64(p.Burst)*int64(p.Interval)
}

// take counts one request against the client's rate.
func (c *client) take(p *limit.Policy, now int64) {
	c.nextDue = max(c.nextDue, now) + int64(p.Interval)
}

// refusable reports whether the client's next request does not conform, and nothing is
// to be changed because of it.
func (c *client) refusable(p *limit.Policy, now int64) bool {
	return c.rateWait(p, now) > 0 && c.nextDue <= c.most(p, now)
}

// refuse is the decision on a request that does not conform.
func (c *client) refuse(p *limit.Policy, now int64) limit.Decision {
	return limit.Decision{
		Reason: limit.RateLimited, RetryAfter: time.Duration(c.rateWait(p, now)), Quota: c.quota(p, now),
	}
}

func (c *client) quota(p *limit.Policy, now int64) limit.Quota {
	return p.Quota(time.Duration(c.nextDue - now))
}

// forgettable reports whether the client is as good as one never seen.
func (c *client) forgettable(now int64) bool { return c.inFlight == 0 && c.nextDue <= now }
