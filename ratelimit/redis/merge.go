package redis

import (
	"context"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// mergeAtOnce is how many clients are charged in one script: Redis does nothing else
// meanwhile.
const mergeAtOnce = 200

// merge tells Redis what happened without it, and asks it again from then on. It
// may have forgotten everything, or gone on without us. What it has not been told
// when it fails again is told the next time.
func (z *Zone) merge(ctx context.Context) error {
	b, err := z.beat(ctx, z.leases.all())
	if err != nil {
		return err
	}
	since := z.outage.began()
	if err := z.outage.lifts.tell(func(key limit.Key) error { _, err := z.lift(key); return err }); err != nil {
		return err
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
	if err := z.tellRest(ctx); err != nil {
		return err
	}
	if err := z.tellDebts(ctx); err != nil {
		return err
	}
	if err := z.syncBlocks(); err != nil {
		return err
	}
	z.joined, z.forgotten = true, false
	z.gateways.Store(b.gateways)
	z.version = b.version
	z.down.Store(false)
	for key, c := range z.outage.charges.settle() {
		z.local.Owe(key, c.p, c.due.Sub(z.config.Clock())) // at the whole budget's rate again
	}
	if z.config.Up != nil {
		z.config.Up(z.config.Clock().Sub(since))
	}
	return z.tellLate(ctx)
}

// tellLate tells what was decided alone while Redis came back.
func (z *Zone) tellLate(ctx context.Context) error {
	err := z.tellRest(ctx)
	z.outage.charges.settle()
	return err
}

// tellRest tells Redis of what this gateway decided alone, if there is anything.
func (z *Zone) tellRest(ctx context.Context) error {
	if err := z.tellCharges(ctx); err != nil {
		return err
	}
	return z.outage.endings.tell(z.tellEnding)
}

// batch is charges that Redis is told of at once, and once: a name that it has heard it
// does not heed again.
type batch struct {
	name    string
	charges map[limit.Key]charge
}

// tellCharges charges what clients took while this gateway was alone.
func (z *Zone) tellCharges(ctx context.Context) error {
	for {
		if z.unsure == nil {
			some := z.outage.charges.untold(mergeAtOnce)
			if len(some) == 0 {
				return nil
			}
			z.unsure = &batch{z.leases.name(z.gateway), some}
		}
		var arguments []any
		now := z.config.Clock()
		for key, c := range z.unsure.charges {
			told, untold := c.parts(now)
			arguments = append(arguments, z.keys.alias(key), micros(told), micros(untold), int64(c.p.Burst)*micros(c.p.Interval))
		}
		if err := z.charge(ctx, z.unsure.name, arguments); err != nil {
			return err // it may have heard, though we did not hear it
		}
		z.outage.charges.heard(z.unsure.charges)
		z.unsure = nil
	}
}

// tellDebts tells Redis what clients owe in all, in case it has forgotten.
func (z *Zone) tellDebts(ctx context.Context) error {
	var arguments []any
	for key, due := range z.local.Debts() {
		if whole, charged := z.outage.charges.due(key); charged { // else it is counted at this gateway's share
			due = max(0, whole.Sub(z.config.Clock()))
		}
		arguments = append(arguments, z.keys.alias(key), micros(due), 0, 0)
		if len(arguments) == 4*mergeAtOnce {
			if err := z.charge(ctx, z.leases.name(z.gateway), arguments); err != nil {
				return err
			}
			arguments = arguments[:0]
		}
	}
	if len(arguments) == 0 {
		return nil
	}
	return z.charge(ctx, z.leases.name(z.gateway), arguments)
}

func (z *Zone) charge(ctx context.Context, name string, arguments []any) error {
	return mergeScript.Run(ctx, z.config.Client, []string{z.keys.rates, z.keys.toldOf(name)}, arguments...).Err()
}

// tellEnding ends a request in Redis that has ended without it.
func (z *Zone) tellEnding(e *ending) error {
	block, err := z.end(*e, z.config.Timeout)
	if err != nil {
		e.judgement = limit.Neutral // if it was heard, its error must not count twice
		return err
	}
	if block != nil {
		z.mirror(*block)
		z.blockedLate(*block)
	}
	return nil
}
