package memory

import (
	"sync/atomic"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// ticket is one admitted request.
type ticket struct {
	zone     *Zone
	who      limit.Client
	policy   *limit.Policy
	since    int64
	released atomic.Bool
	place    whose // has the slot
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

	key := t.place.of(t.who.Key)
	s, hash := z.shard(key)
	s.mu.Lock()
	s.clients.find(key, hash).inFlight-- // it is there: who has a request in flight is not forgotten
	s.mu.Unlock()

	block := z.settle(t.who, t.policy, status, now)
	z.queue.Serve()
	return block
}
