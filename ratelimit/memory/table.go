package memory

import "github.com/gateway18789/caddy-ollama/ratelimit/limit"

// table remembers something of a few clients, and forgets a little with each newcomer.
type table[T any] struct {
	of map[limit.Key]T
	// peak is how many there were at most since the map was made: Go's maps never shrink.
	peak int
}

// looksInTable is how many entries are looked at for one newcomer. Go's map order is
// random enough to reach them all.
const looksInTable = 8

func (t *table[T]) init() { t.of = make(map[limit.Key]T) }

func (t *table[T]) put(key limit.Key, value T) {
	t.of[key] = value
	t.peak = max(t.peak, len(t.of))
}

// drop forgets some of those that are expired, and returns how many.
func (t *table[T]) drop(expired func(limit.Key, T) bool) (dropped int) {
	left := looksInTable
	for key, value := range t.of {
		if expired(key, value) {
			delete(t.of, key)
			dropped++
		}
		if left--; left == 0 {
			break
		}
	}
	if t.peak > smallTable && len(t.of) < t.peak/shrinkBelow {
		smaller := make(map[limit.Key]T, len(t.of))
		for key, value := range t.of {
			smaller[key] = value
		}
		t.of, t.peak = smaller, len(smaller)
	}
	return dropped
}
