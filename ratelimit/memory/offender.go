package memory

import (
	"math"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// offender is what is remembered of a client that has lately made errors.
type offender struct {
	// last is when it made the last one, on the zone's clock.
	last int64
	// inARow is how many it has made since its last success.
	inARow int32
	// recent is when it made those that are within the window, oldest first: in
	// milliseconds of the zone's clock, which suffices as nothing older than a day counts.
	recent []uint32
}

// millis is a time as offender.recent has it.
func millis(ns int64) uint32 { return uint32(ns / int64(time.Millisecond)) }

// err counts one error and returns why the client is to be blocked for it, if it is.
func (o *offender) err(p *limit.Policy, now int64) limit.Cause {
	if now-o.last >= int64(p.PenaltyTime) || now < o.last {
		o.inARow = 0
	}
	if now-o.last >= int64(p.WindowTime) || now < o.last {
		o.recent = nil
	}
	o.last = now
	o.inARow++
	if p.Window > 0 {
		o.recent = append(within(o.recent, millis(now), p.WindowTime), millis(now))
	}
	switch {
	case p.Penalty > 0 && int(o.inARow) >= p.Penalty:
		return limit.ErrorsInARow
	case p.Window > 0 && len(o.recent) >= p.Window:
		return limit.ErrorsInWindow
	default:
		return ""
	}
}

// within returns the times that are less than window ago.
func within(times []uint32, now uint32, window time.Duration) []uint32 {
	old := 0
	for old < len(times) && time.Duration(now-times[old])*time.Millisecond >= window {
		old++
	}
	return append(times[:0], times[old:]...)
}

// success ends the row of errors; those within the window stay.
func (o *offender) success() { o.inARow = 0 }

// forgettable reports whether none of its errors matters any more.
func (o *offender) forgettable(p *limit.Policy, now int64) bool {
	inARow := o.inARow > 0 && now-o.last < int64(p.PenaltyTime)
	inWindow := len(o.recent) > 0 && now-o.last < int64(p.WindowTime)
	return !inARow && !inWindow
}

// settle counts the answer that the client got, and returns the block if it is
// blocked for it. What was in flight when a block began does not prolong it: the
// client has been told when it ends.
func (z *Zone) settle(who limit.Client, p *limit.Policy, status int, now int64) *limit.Block {
	judgement := p.Judge(status)
	if judgement == limit.Neutral || judgement == limit.Success && z.offenders.Load() == 0 {
		return nil
	}
	s, _ := z.shard(who.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	o, known := s.offenders.of[who.Key]
	if judgement == limit.Success {
		if known {
			o.success()
			z.keepOffender(s, who.Key, o, p, now)
		}
		return nil
	}
	if s.blockedUntil(who.Key) > now {
		return nil
	}
	if !known {
		z.makeRoomForOffender(s, p, now)
	}
	cause := o.err(p, now)
	if cause == "" {
		z.keepOffender(s, who.Key, o, p, now)
		return nil
	}
	z.forgetOffender(s, who.Key)
	b := s.nextBlock(who, p.BlockTime, cause, now)
	if !z.keepBlock(s, who.Key, b, offendersOfAShard(p), now) {
		return nil
	}
	block := z.tell(who.Key, b, now)
	return &block
}

// makeRoomForOffender makes room for one more. A full table forgets whoever made the
// fewest errors of a few: there must be room for those who make most.
func (z *Zone) makeRoomForOffender(s *shard, p *limit.Policy, now int64) {
	z.offenders.Add(-int64(s.offenders.drop(func(_ limit.Key, o offender) bool { return o.forgettable(p, now) })))
	if len(s.offenders.of) < offendersOfAShard(p) {
		return
	}
	var least limit.Key
	fewest, left := math.MaxInt, looksInTable
	for key, o := range s.offenders.of {
		if n := max(int(o.inARow), len(o.recent)); n < fewest {
			least, fewest = key, n
		}
		if left--; left == 0 {
			break
		}
	}
	z.forgetOffender(s, least)
}

// offendersOfAShard is how many may be remembered for errors, and as many again for
// blocks: a quarter of all clients, but enough that it does not matter how they are spread.
func offendersOfAShard(p *limit.Policy) int { return max(16, p.Places()/4/shards) }

func (z *Zone) keepOffender(s *shard, key limit.Key, o offender, p *limit.Policy, now int64) {
	if o.forgettable(p, now) {
		z.forgetOffender(s, key)
		return
	}
	if _, known := s.offenders.of[key]; !known {
		z.offenders.Add(1)
	}
	s.offenders.put(key, o)
}

func (z *Zone) forgetOffender(s *shard, key limit.Key) {
	if _, known := s.offenders.of[key]; known {
		delete(s.offenders.of, key)
		z.offenders.Add(-1)
	}
}
