package redis

import (
	"context"
	"errors"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// mergeAtOnce is how many clients are charged in one script: Redis does nothing else
// meanwhile.
const mergeAtOnce = 200

// merge tells Redis what happened without it, and asks it again from then on. It
// may have forgotten everything, or gone on without us.
func (z *Zone) merge(ctx context.Context) error {
	b, err := z.beat(ctx, z.leases.all())
	if err != nil {
		return err
	}
	z.outage.mu.Lock()
	since, lifts := z.outage.since, z.outage.lifts
	z.outage.lifts = nil
	z.outage.mu.Unlock()
	for _, key := range lifts {
		if _, err := z.lift(key); err != nil {
			return err
		}
	}
	z.forgotten = z.forgotten || !b.known
	now := z.config.Clock()
	for _, block := range z.local.Blocks() {
		if z.forgotten || block.Since.After(since) {
			if _, err := z.writeBlock(block, block.Since.Sub(now), block.Until.Sub(now), true); err != nil {
				return err
			}
		}
	}
	if err := z.tellRates(ctx, true); err != nil {
		return err
	}
	if err := z.tellEndings(); err != nil {
		return err
	}
	if err := z.syncBlocks(); err != nil {
		return err
	}
	z.joined, z.forgotten = true, false
	z.gateways.Store(b.gateways)
	z.version = b.version
	z.down.Store(false)
	if z.config.Up != nil {
		z.config.Up(z.config.Clock().Sub(since))
	}
	// what was decided while we told the rest
	return errors.Join(z.tellRates(ctx, false), z.tellEndings())
}

// tellRates charges what clients took while this gateway was alone, and with all
// what they owed before, in case Redis has forgotten.
func (z *Zone) tellRates(ctx context.Context, all bool) error {
	z.outage.mu.Lock()
	charges := z.outage.charges
	z.outage.init()
	z.outage.mu.Unlock()

	var arguments []any
	flush := func() error {
		if len(arguments) == 0 {
			return nil
		}
		err := mergeScript.Run(ctx, z.config.Client, []string{z.keys.rates}, arguments...).Err()
		arguments = arguments[:0]
		return err
	}
	add := func(key limit.Key, before, since, most int64) error {
		if before+since == 0 {
			return nil
		}
		arguments = append(arguments, z.keys.alias(key), before, since, most)
		if len(arguments) < 4*mergeAtOnce {
			return nil
		}
		return flush()
	}
	var err error
	now := z.config.Clock()
	for key, c := range charges {
		before, since := c.parts(now)
		z.local.Owe(key, c.p, before+since) // at the whole budget's rate again
		err = errors.Join(err, add(key, micros(before), micros(since), int64(c.p.Burst)*micros(c.p.Interval)))
	}
	if all {
		for key, due := range z.local.Debts() {
			if _, charged := charges[key]; !charged {
				err = errors.Join(err, add(key, micros(due), 0, micros(due)))
			}
		}
	}
	return errors.Join(err, flush())
}

// tellEndings ends the requests in Redis that have ended without it.
func (z *Zone) tellEndings() error {
	z.outage.mu.Lock()
	endings := z.outage.endings
	z.outage.endings = nil
	z.outage.mu.Unlock()
	for _, e := range endings {
		if _, err := z.end(e); err != nil {
			return err
		}
	}
	return nil
}
