package stats

import (
	"math"
	"time"
)

// Precision is how far a quantile may be from the true one, as a part of it, for
// durations between a microsecond and 12 days. Shorter ones count as a microsecond,
// longer ones as 12 days.
const Precision = 0.01

const (
	shortest = time.Microsecond
	longest  = 12 * 24 * time.Hour
)

// Each bucket is so much wider than the one below that its middle, in the sense below,
// is no further than Precision from any duration in it.
var growth = math.Log((1 + Precision) / (1 - Precision))

// histogram counts durations in buckets whose width grows with them, so that its size
// does not grow with how many there are: at most 1,400 numbers.
type histogram struct {
	first  int // the number of the first bucket in counts
	counts []uint64
	total  uint64
}

func bucketOf(d time.Duration) int {
	d = min(max(d, shortest), longest)
	return int(math.Ceil(math.Log(float64(d)/float64(shortest)) / growth))
}

// add counts a duration.
func (h *histogram) add(d time.Duration) {
	b := bucketOf(d)
	switch {
	case len(h.counts) == 0:
		h.first, h.counts = b, make([]uint64, 1)
	case b < h.first:
		h.counts = append(make([]uint64, h.first-b), h.counts...)
		h.first = b
	case b >= h.first+len(h.counts):
		h.counts = append(h.counts, make([]uint64, b-h.first-len(h.counts)+1)...)
	}
	h.counts[b-h.first]++
	h.total++
}

// quantile is the duration that a part q of all do not exceed (nearest rank).
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.total)))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank && n > 0 {
			upper := math.Exp(float64(h.first+i) * growth)
			return time.Duration(upper * (1 - Precision) * float64(shortest))
		}
	}
	return 0
}
