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
func (z *Zone) enter(s *shard, key limit.Key, p *limit.Policy, now int64) entry {
	places := int64(p.Places())
	if e := (entry{zone: z, shard: s, key: key}); e.find(places-places/16-1, now) {
		return e
	}
	s.mu.Unlock()

	key = key.Neighbours()
	s = z.shard(key)
	s.mu.Lock()
	if e := (entry{zone: z, shard: s, key: key}); e.find(places-1, now) {
		return e
	}
	s.mu.Unlock()

	key = limit.Everyone()
	s = z.shard(key)
	s.mu.Lock()
	e := entry{zone: z, shard: s, key: key}
	if e.client, e.known = s.clients.of[key]; !e.known {
		z.clients.Add(1) // its place is kept
	}
	return e
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
