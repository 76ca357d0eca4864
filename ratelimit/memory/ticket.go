package memory

import (
	"sync/atomic"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// ticket is one admitted request.
type ticket struct {
	zone *Zone
	who  limit.Client
	// place is whose slot it has: the client's, or that of those it shares one with.
	place    limit.Key
	policy   *limit.Policy
	since    int64
	released atomic.Bool
}

// Release implements limit.Ticket.
func (t *ticket) Release(status int) *limit.Block {
	if !t.released.CompareAndSwap(false, true) {
		return nil
	}
	z := t.zone
	now := z.now()
	z.inFlight.Add(-1)
	z.observeHold(now - t.since)

	s := z.shard(t.place)
	s.mu.Lock()
	c := s.clients.of[t.place] // still there: a client with a request in flight is not forgotten
	c.inFlight--
	s.clients.put(t.place, c)
	s.mu.Unlock()

	block := z.settle(t.who, t.policy, status, now)
	z.queue.Serve()
	return block
}
