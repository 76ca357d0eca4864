package redis

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// ticket is one admitted request, whoever admitted it.
type ticket struct {
	zone   *Zone
	ended  ending
	policy *limit.Policy
	// waited is how long the request has waited for Redis already.
	waited time.Duration
	// local is the same request where this gateway counts.
	local    limit.Ticket
	released atomic.Bool
}

// ending is what Redis must be told when a request has ended.
type ending struct {
	who       limit.Client
	alias     string // under which its slot counts
	lease     string
	judgement limit.Judgement
	policy    *limit.Policy
}

func (z *Zone) newTicket(who limit.Client, at limit.Key, p *limit.Policy, lease string) *ticket {
	return z.wrap(who, at, p, lease, z.local.Hold(limit.Client{Key: at}, p))
}

func (z *Zone) wrap(who limit.Client, at limit.Key, p *limit.Policy, lease string, local limit.Ticket) *ticket {
	alias := z.keys.alias(at)
	z.leases.add(lease, alias)
	return &ticket{zone: z, ended: ending{who: who, alias: alias, lease: lease, policy: p}, policy: p, local: local}
}

// Release implements limit.Ticket. Its request waits for Redis no longer than its timeout,
// admission included: what Redis says later is told by Config.Blocked.
func (t *ticket) Release(status int) *limit.Block {
	if !t.released.CompareAndSwap(false, true) {
		return nil
	}
	z := t.zone
	z.releasing.Add(1) // before its lease is gone, for that is what Stop looks at
	z.leases.drop(t.ended.lease)
	t.ended.judgement = t.policy.Judge(status)
	left := z.config.Timeout - t.waited
	switch {
	case z.down.Load():
		defer z.releasing.Done()
		return t.releaseAlone(status)
	case t.waited < z.config.Timeout/patience:
		defer z.releasing.Done()
		return t.releaseTogether(status, left)
	}
	// Redis is slow, but answers: it has all of its time, if not that of the request
	released := make(chan *limit.Block)
	late := make(chan struct{})
	go func() {
		defer z.releasing.Done()
		block := t.releaseTogether(status, z.config.Timeout)
		select {
		case released <- block:
		case <-late:
			if block != nil {
				z.blockedLate(*block)
			}
		}
	}()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case block := <-released:
		return block
	case <-timer.C:
		close(late)
		return nil
	}
}

// patience is the part of its timeout that Redis may take for an admission, and be fast.
const patience = 4

// releaseTogether lets Redis judge, if it answers within that time.
func (t *ticket) releaseTogether(status int, within time.Duration) *limit.Block {
	z := t.zone
	block, err := z.end(t.ended, within)
	if err != nil {
		z.fail(err)
		return t.releaseAlone(status)
	}
	t.local.Release(0) // it has been judged
	if block != nil {
		z.mirror(*block)
	}
	z.queue.Serve()
	return block
}

// releaseAlone judges without Redis.
func (t *ticket) releaseAlone(status int) *limit.Block {
	t.zone.outage.endings.add(&t.ended)
	block := t.local.Release(status)
	t.zone.queue.Serve()
	return block
}

// blockedLate tells of a block that no Release could tell.
func (z *Zone) blockedLate(block limit.Block) {
	if z.config.Blocked != nil {
		z.config.Blocked(block)
	}
}

// end tells Redis that a request has ended, and returns the block if the client is
// now blocked for it.
func (z *Zone) end(e ending, within time.Duration) (*limit.Block, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	p := e.policy
	reply, err := releaseScript.Run(ctx, z.config.Client,
		[]string{
			z.keys.blocks, z.keys.ends, z.keys.version, z.keys.errorsOf(z.keys.alias(e.who.Key)),
			z.keys.leases, z.keys.leasesOf(e.alias),
		},
		e.lease, int(e.judgement), string(e.who.Key[:]), e.who.Name,
		p.Penalty, micros(p.PenaltyTime), p.Window, micros(p.WindowTime),
		micros(p.BlockTime(64)), micros(limit.RepeatedWithin), max(1, places(p)/blockShare),
	).Slice()
	if err != nil || len(reply) == 0 {
		return nil, err
	}
	return z.blockOf(e.who, reply)
}

// blockShare is the part of max_clients that may be blocked, as in memory.
const blockShare = 4
