package main

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// percentile is the smallest of the sorted values that p percent of them do not
// exceed, and the zero value if there are none.
func percentile[T cmp.Ordered](sorted []T, p float64) T {
	if len(sorted) == 0 {
		var none T
		return none
	}
	i := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(i, 1), len(sorted))-1]
}

// spread is what several rounds say of one value.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf is nil if there are no values.
func spreadOf(values []float64) *spread {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return &spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// ratiosByRound are those of each round of a to the same round of b. A round in which
// either has nothing, or what is no measure, has none.
func ratiosByRound(a, b map[int]float64) map[int]float64 {
	out := make(map[int]float64)
	for round, over := range a {
		if under := b[round]; over > 0 && under > 0 {
			out[round] = over / under
		}
	}
	return out
}

// ratios are the same, in the rounds' order.
func ratios(a, b map[int]float64) (out []float64) {
	byRound := ratiosByRound(a, b)
	for _, round := range slices.Sorted(maps.Keys(byRound)) {
		out = append(out, byRound[round])
	}
	return out
}
