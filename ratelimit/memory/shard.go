package memory

import (
	"sync"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// shard is a part of the clients under a lock of its own.
type shard struct {
	mu        sync.Mutex
	clients   table[client]
	offenders table[offender]
	blocks    table[block]
}

func (s *shard) init() {
	s.clients.init()
	s.offenders.init()
	s.blocks.init()
}

// entry is a client, with its shard locked.
type entry struct {
	zone   *Zone
	shard  *shard
	key    limit.Key
	client client
	known  bool
}

// enter finds the client in its shard, which is locked. A new client for whom
// there is no room counts as one with its neighbours, or if there is no room for
// those either, with everyone.
func (e *entry) enter(z *Zone, s *shard, key limit.Key, p *limit.Policy, now int64) {
	e.zone, e.shard, e.key = z, s, key
	places := int64(p.Places())
	if e.find(places-places/16-1, now) {
		return
	}
	e.move(key.Neighbours())
	if e.find(places-1, now) {
		return
	}
	e.move(limit.Everyone())
	if e.client, e.known = e.shard.clients.of[e.key]; !e.known {
		z.clients.Add(1) // its place is kept
	}
}

// move goes on to another client, perhaps in another shard.
func (e *entry) move(key limit.Key) {
	e.shard.mu.Unlock()
	e.key, e.shard = key, e.zone.shard(key)
	e.shard.mu.Lock()
}

// find looks the client up, or reserves one of so many places for it.
func (e *entry) find(places int64, now int64) bool {
	if e.client, e.known = e.shard.clients.of[e.key]; e.known {
		return true
	}
	// each newcomer pays for the search for those who need no remembering
	e.zone.clients.Add(-int64(e.shard.clients.drop(func(_ limit.Key, c client) bool { return c.forgettable(now) })))
	if e.zone.clients.Add(1) > places {
		e.zone.clients.Add(-1)
		return false
	}
	return true
}

// leave unlocks the client's shard, and before that writes down what has changed.
func (e *entry) leave(changed bool) {
	switch {
	case changed:
		e.shard.clients.put(e.key, e.client)
	case !e.known:
		e.zone.clients.Add(-1)
	}
	e.shard.mu.Unlock()
}
