package memory

import (
	"sync"
	"sync/atomic"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// shard is a part of the clients under a lock of its own.
type shard struct {
	mu        sync.Mutex
	clients   clients
	offenders table[offender]
	blocks    table[block]
	// blocked is how many blocks there are, for those who have not got the lock.
	blocked atomic.Int64
}

func (s *shard) init() {
	s.clients.init()
	s.offenders.init()
	s.blocks.init()
}

// peek is what a client owes of its rate, read without the lock: for a decision that
// changes nothing, on one who is not blocked. It fails if the client is not known, and
// sometimes when it is.
func (s *shard) peek(key limit.Key, hash uint32) (c client, ok bool) {
	if s.blocked.Load() > 0 {
		return c, false
	}
	c.nextDue, ok = s.clients.peek(key, hash)
	return c, ok
}

// entry is a client, with its shard locked.
type entry struct {
	zone   *Zone
	shard  *shard
	key    limit.Key
	hash   uint32
	slot   *slot // nil: it is not known
	client client
	place  whose
}

// whose place a request takes.
type whose uint8

const (
	itsOwn whose = iota
	itsNeighbours
	everyones
)

// of is the key under which the client has that place.
func (w whose) of(key limit.Key) limit.Key {
	switch w {
	case itsNeighbours:
		return key.Neighbours()
	case everyones:
		return limit.Everyone()
	default:
		return key
	}
}

// enter finds the client in its shard, which is locked. A new client for whom
// there is no room counts as one with its neighbours, or if there is no room for
// those either, with everyone.
func (e *entry) enter(z *Zone, s *shard, key limit.Key, hash uint32, p *limit.Policy, now int64) {
	e.zone, e.shard, e.key, e.hash = z, s, key, hash
	places := int64(p.Places())
	if e.find(places-places/16-1, now) {
		return
	}
	e.move(key, itsNeighbours)
	if e.find(places-1, now) {
		return
	}
	e.move(key, everyones)
	if !e.known() {
		z.clients.Add(1) // its place is kept
	}
}

// move goes on to another place, perhaps in another shard.
func (e *entry) move(key limit.Key, place whose) {
	e.shard.mu.Unlock()
	e.place, e.key = place, place.of(key)
	e.shard, e.hash = e.zone.shard(e.key)
	e.shard.mu.Lock()
}

// known looks the client up.
func (e *entry) known() bool {
	if e.slot = e.shard.clients.find(e.key, e.hash); e.slot == nil {
		return false
	}
	e.client = e.slot.client()
	return true
}

// find looks the client up, or reserves one of so many places for it.
func (e *entry) find(places int64, now int64) bool {
	if e.known() {
		return true
	}
	// each newcomer pays for the search for those who need no remembering
	e.zone.clients.Add(-int64(e.shard.clients.forget(now)))
	if e.zone.clients.Add(1) > places {
		e.zone.clients.Add(-1)
		return false
	}
	return true
}

// leave unlocks the client's shard, and before that writes down what has changed.
func (e *entry) leave(changed bool) {
	switch {
	case changed && e.slot != nil:
		e.slot.set(e.client)
	case changed:
		e.shard.clients.add(e.key, e.hash, e.client)
	case e.slot == nil:
		e.zone.clients.Add(-1)
	}
	e.shard.mu.Unlock()
}
