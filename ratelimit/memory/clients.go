package memory

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"sync/atomic"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// clients are those of a shard, in one array: each lies where its hash says, or in the
// next free slot after that (open addressing with linear probing). So a look-up visits
// memory once, and one that only reads needs no lock. Everything else does.
type clients struct {
	slots atomic.Pointer[[]slot]
	// moves is odd while slots are emptied. Who reads without the lock believes nothing
	// that it has read if slots have been emptied meanwhile.
	moves atomic.Uint32
	len   int
	next  int // slot to be looked at next for whom to forget
}

// slot holds one client. All but inFlight is read without the lock too, so that
// it is written atomically once the array is in use.
type slot struct {
	key      [2]uint64
	nextDue  int64
	inFlight int32
	hash     uint32 // of the key; 0: the slot is free
}

const (
	fewestSlots = 8
	// looks is how many slots are looked at for one newcomer.
	looks = 16
	// shrinkBelow is the part of its size below which an array is copied to a smaller one,
	// if it is larger than smallTable.
	shrinkBelow = 8
	smallTable  = 256
)

func (c *clients) init() { c.resize(fewestSlots) }

// find returns the client's slot, nil if it is not known.
func (c *clients) find(key limit.Key, hash uint32) *slot {
	slots, words := *c.slots.Load(), wordsOf(key)
	i := home(hash, len(slots))
	for range slots {
		s := &slots[i]
		switch h := atomic.LoadUint32(&s.hash); {
		case h == hash && atomic.LoadUint64(&s.key[0]) == words[0] && atomic.LoadUint64(&s.key[1]) == words[1]:
			return s
		case h == 0:
			return nil
		}
		i = after(i, slots)
	}
	return nil
}

// peek is when the client's next request would be due, read without the lock. It fails
// if the client is not known, and sometimes when it is.
func (c *clients) peek(key limit.Key, hash uint32) (nextDue int64, ok bool) {
	moves := c.moves.Load()
	s := c.find(key, hash)
	if s == nil {
		return 0, false
	}
	nextDue = atomic.LoadInt64(&s.nextDue)
	return nextDue, moves%2 == 0 && c.moves.Load() == moves
}

// get is what is remembered of the client.
func (c *clients) get(key limit.Key, hash uint32) (client client, known bool) {
	if s := c.find(key, hash); s != nil {
		return s.client(), true
	}
	return client, false
}

// add remembers a client that is not known.
func (c *clients) add(key limit.Key, hash uint32, client client) {
	slots := *c.slots.Load()
	if most := len(slots) / 4 * 3; c.len >= most {
		c.resize(len(slots) / 2 * 3)
		slots = *c.slots.Load()
	}
	s := freeSlot(slots, hash)
	s.write(wordsOf(key), client)
	atomic.StoreUint32(&s.hash, hash) // last: from now on it can be found
	c.len++
}

// all are the clients that are remembered.
func (c *clients) all() iter.Seq2[limit.Key, client] {
	return func(yield func(limit.Key, client) bool) {
		slots := *c.slots.Load()
		for i := range slots {
			if s := &slots[i]; s.hash != 0 && !yield(keyOf(s.key), s.client()) {
				return
			}
		}
	}
}

// forget forgets some of those that need no remembering, and returns how many. Each
// newcomer pays for a few looks: so there is no sweep that stops the world, and no goroutine.
func (c *clients) forget(now int64) (forgotten int) {
	slots := *c.slots.Load()
	for range looks {
		if s := slots[c.next]; s.hash != 0 && (&client{s.nextDue, s.inFlight}).forgettable(now) {
			c.empty(c.next)
			forgotten++
			continue // another may be there now
		}
		c.next = after(c.next, slots)
	}
	if len(slots) > smallTable && c.len < len(slots)/shrinkBelow {
		c.resize(2 * c.len)
	}
	return forgotten
}

// empty empties a slot, and closes the gap: who could have been there but for its
// client moves up.
func (c *clients) empty(gap int) {
	slots := *c.slots.Load()
	c.moves.Add(1)
	for i := after(gap, slots); slots[i].hash != 0; i = after(i, slots) {
		s := &slots[i]
		if distance(home(s.hash, len(slots)), i, slots) >= distance(gap, i, slots) {
			slots[gap].write(s.key, s.client())
			atomic.StoreUint32(&slots[gap].hash, s.hash)
			gap = i
		}
	}
	atomic.StoreUint32(&slots[gap].hash, 0)
	c.moves.Add(1)
	c.len--
}

// resize copies the clients to an array of so many slots. Who still reads in the old one
// reads what was true a moment ago.
func (c *clients) resize(size int) {
	slots := make([]slot, max(size, fewestSlots))
	if old := c.slots.Load(); old != nil {
		for _, s := range *old {
			if s.hash != 0 {
				*freeSlot(slots, s.hash) = s
			}
		}
	}
	c.slots.Store(&slots)
	c.next = 0
}

// freeSlot is the first free one where a client with that hash is looked for.
func freeSlot(slots []slot, hash uint32) *slot {
	i := home(hash, len(slots))
	for slots[i].hash != 0 {
		i = after(i, slots)
	}
	return &slots[i]
}

func (s *slot) client() client { return client{s.nextDue, s.inFlight} }

// set changes what is remembered of the slot's client.
func (s *slot) set(c client) {
	if s.nextDue != c.nextDue {
		atomic.StoreInt64(&s.nextDue, c.nextDue)
	}
	s.inFlight = c.inFlight
}

func (s *slot) write(key [2]uint64, c client) {
	atomic.StoreUint64(&s.key[0], key[0])
	atomic.StoreUint64(&s.key[1], key[1])
	s.set(c)
}

// home is where a client with that hash lies if it has come first.
func home(hash uint32, slots int) int {
	index, _ := bits.Mul32(hash, uint32(slots))
	return int(index)
}

func after(i int, slots []slot) int {
	if i++; i < len(slots) {
		return i
	}
	return 0
}

// distance is how many slots to is behind from.
func distance(from, to int, slots []slot) int {
	if to >= from {
		return to - from
	}
	return to - from + len(slots)
}

func wordsOf(key limit.Key) [2]uint64 {
	return [2]uint64{binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])}
}

func keyOf(words [2]uint64) (key limit.Key) {
	binary.LittleEndian.PutUint64(key[:8], words[0])
	binary.LittleEndian.PutUint64(key[8:], words[1])
	return key
}
