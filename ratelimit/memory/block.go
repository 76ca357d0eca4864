package memory

import (
	"math"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// block is a client's block, and is remembered for a while when it has ended.
// Times are on the zone's clock.
type block struct {
	since, until int64
	name         string
	cause        limit.Cause
	repeats      int32
}

func (b block) forgettable(now int64) bool { return now-b.until >= int64(limit.RepeatedWithin) }

func (s *shard) blockedUntil(key limit.Key) int64 {
	if b, ok := s.blocks.of[key]; ok {
		return b.until
	}
	return -1 << 62
}

// blockedWait is how long the client must wait until it is let in again after a
// block: for the block's end, and for its rate as well. 0 or less: not blocked.
func (s *shard) blockedWait(key limit.Key, hash uint32, p *limit.Policy, now int64) int64 {
	wait := s.blockedUntil(key) - now
	if wait > 0 {
		c, _ := s.clients.get(key, hash)
		c.forgive(p, now)
		wait = max(wait, c.rateWait(p, now))
	}
	return wait
}

// BlockedFor is how long the client must wait until it is let in again; 0 if it is not
// blocked.
func (z *Zone) BlockedFor(key limit.Key, p *limit.Policy) time.Duration {
	s, hash := z.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(max(0, s.blockedWait(key, hash, p, z.now())))
}

// nextBlock is the block that begins now, as long as befits one that has been
// blocked before.
func (s *shard) nextBlock(who limit.Client, length func(repeats int) time.Duration, cause limit.Cause, now int64) block {
	repeats := 0
	if last, ok := s.blocks.of[who.Key]; ok && !last.forgettable(now) {
		repeats = int(last.repeats) + 1
	}
	return block{since: now, until: now + int64(length(repeats)), name: who.Name, cause: cause, repeats: int32(repeats)}
}

// keepBlock writes the block down, unless there are too many that are in force. A
// block is never given up for another.
func (z *Zone) keepBlock(s *shard, key limit.Key, b block, most int, now int64) bool {
	if _, known := s.blocks.of[key]; !known {
		full := len(s.blocks.of) >= most
		s.blocks.drop(func(_ limit.Key, b block) bool {
			return b.forgettable(now) || full && b.until <= now
		})
		if len(s.blocks.of) >= most {
			s.countBlocks()
			return false
		}
	}
	s.blocks.put(key, b)
	s.countBlocks()
	z.tellBlocksChanged()
	return true
}

// countBlocks is to be called when blocks have been put down or taken out.
func (s *shard) countBlocks() { s.blocked.Store(int64(len(s.blocks.of))) }

func (z *Zone) tellBlocksChanged() {
	select {
	case z.blocksChanged <- struct{}{}:
	default: // it has not been heard yet
	}
}

// tell is the block as others see it.
func (z *Zone) tell(key limit.Key, b block, now int64) limit.Block {
	wall := z.wall()
	return limit.Block{
		Client:  limit.Client{Key: key, Name: b.name},
		Since:   wall.Add(time.Duration(b.since - now)),
		Until:   wall.Add(time.Duration(b.until - now)),
		Cause:   b.cause,
		Repeats: int(b.repeats),
	}
}

// Block blocks a client by hand, from now on for as long as given, whether it is
// blocked already or not.
func (z *Zone) Block(who limit.Client, length time.Duration) limit.Block {
	now := z.now()
	s, _ := z.shard(who.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.nextBlock(who, func(int) time.Duration { return length }, limit.ByHand, now)
	z.keepBlock(s, who.Key, b, math.MaxInt, now)
	z.forgetOffender(s, who.Key)
	return z.tell(who.Key, b, now)
}

// Unblock lifts the client's block, and forgets that there was one and what led to
// it. It reports whether the client was blocked.
func (z *Zone) Unblock(key limit.Key) bool {
	now := z.now()
	s, _ := z.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	z.forgetOffender(s, key)
	b, known := s.blocks.of[key]
	if !known {
		return false
	}
	delete(s.blocks.of, key)
	s.countBlocks()
	z.tellBlocksChanged()
	return b.until > now
}

// Blocks returns the blocks that are in force, and those that have ended but count
// when their clients are blocked again.
func (z *Zone) Blocks() (blocks []limit.Block) {
	for i := range z.shards {
		s := &z.shards[i]
		s.mu.Lock()
		now := z.now()
		for key, b := range s.blocks.of {
			if !b.forgettable(now) {
				blocks = append(blocks, z.tell(key, b, now))
			}
		}
		s.mu.Unlock()
	}
	return blocks
}

// Restore brings back blocks from before a restart, but for clients of whom
// something newer is known.
func (z *Zone) Restore(blocks []limit.Block) {
	for _, told := range blocks {
		now, wall := z.now(), z.wall()
		s, _ := z.shard(told.Client.Key)
		b := block{
			since:   now + int64(told.Since.Sub(wall)),
			until:   now + int64(told.Until.Sub(wall)),
			name:    told.Client.Name,
			cause:   told.Cause,
			repeats: int32(told.Repeats),
		}
		if b.forgettable(now) {
			continue
		}
		s.mu.Lock()
		if _, known := s.blocks.of[told.Client.Key]; !known {
			s.blocks.put(told.Client.Key, b)
			s.countBlocks()
		}
		s.mu.Unlock()
	}
}

// BlocksChanged is sent to when blocks have been made or lifted since it was last
// received from.
func (z *Zone) BlocksChanged() <-chan struct{} { return z.blocksChanged }

// BlocksInForce is how many clients are blocked now.
func (z *Zone) BlocksInForce() (n int) {
	for i := range z.shards {
		s := &z.shards[i]
		if s.blocked.Load() == 0 {
			continue
		}
		s.mu.Lock()
		now := z.now()
		for _, b := range s.blocks.of {
			if b.until > now {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}
