package main

import (
	"slices"
	"testing"
)

func TestTargetsTakeTurns(t *testing.T) {
	for name, c := range map[string]struct {
		targets      []string
		turns, round int
		want         []string
	}{
		"all of them before any has its second":      {[]string{"A", "B"}, 3, 0, []string{"A", "B", "B", "A", "A", "B"}},
		"each is first, and after each other, alike": {[]string{"A", "B", "C"}, 3, 0, []string{"A", "B", "C", "B", "C", "A", "C", "A", "B"}},
		"the next round begins with the next":        {[]string{"A", "B", "C"}, 1, 1, []string{"B", "C", "A"}},
		"one target has all turns":                   {[]string{"A"}, 2, 0, []string{"A", "A"}},
		"without turns no one has":                   {[]string{"A"}, 0, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := schedule(c.targets, c.turns, c.round); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
