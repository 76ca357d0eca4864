package main

import (
	"reflect"
	"testing"
)

func TestTargetsTakeTurns(t *testing.T) {
	for name, c := range map[string]struct {
		targets []string
		rounds  int
		want    []turn
	}{
		"two targets alternate":     {[]string{"A", "B"}, 2, []turn{{0, "A"}, {0, "B"}, {1, "A"}, {1, "B"}}},
		"one target has all turns":  {[]string{"A"}, 2, []turn{{0, "A"}, {1, "A"}}},
		"without rounds no one has": {[]string{"A"}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := schedule(c.targets, c.rounds); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
