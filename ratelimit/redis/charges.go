package redis

import (
	"sync"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// charges are what clients took of their rates while this gateway was alone, until
// Redis has been told.
type charges struct {
	mu sync.Mutex
	of map[limit.Key]charge
}

// charge is what one client owes, as when its next request is due on this gateway's
// clock, at the whole budget's rate.
type charge struct {
	told time.Time // as Redis knows it
	due  time.Time // as it is
	p    *limit.Policy
}

// take charges one request by GCRA to a client that owed so much before.
func (c *charges) take(key limit.Key, p *limit.Policy, now time.Time, owed time.Duration) {
	if p.Interval == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of, known := c.of[key]
	if !known {
		if len(c.of) >= p.Places() {
			return
		}
		of.told = now.Add(owed)
		of.due = of.told
	}
	if of.due.Before(now) {
		of.due = now
	}
	of.due, of.p = of.due.Add(p.Interval), p
	c.of[key] = of
}

// parts are what the client still owes: of what Redis knows, and besides.
func (c charge) parts(now time.Time) (told, untold time.Duration) {
	told = max(0, c.told.Sub(now))
	return told, max(0, c.due.Sub(now)-told)
}

// untold are up to so many of those of which Redis does not know all.
func (c *charges) untold(most int) map[limit.Key]charge {
	c.mu.Lock()
	defer c.mu.Unlock()
	some := make(map[limit.Key]charge)
	for key, of := range c.of {
		if len(some) == most {
			break
		}
		if !of.told.Equal(of.due) {
			some[key] = of
		}
	}
	return some
}

// heard notes that Redis has been told of these.
func (c *charges) heard(told map[limit.Key]charge) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, charge := range told {
		of := c.of[key]
		of.told = charge.due
		c.of[key] = of
	}
}

// due is when the client's next request is due, if it has a charge.
func (c *charges) due(key limit.Key) (due time.Time, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of, known := c.of[key]
	return of.due, known
}

// settle forgets those that Redis knows, and returns them. It must not know them from
// before it was lost: what a client owes grows without us while Redis decides.
func (c *charges) settle() map[limit.Key]charge {
	c.mu.Lock()
	defer c.mu.Unlock()
	settled := make(map[limit.Key]charge)
	for key, of := range c.of {
		if of.told.Equal(of.due) {
			settled[key] = of
			delete(c.of, key)
		}
	}
	return settled
}
