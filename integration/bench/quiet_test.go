package main

import (
	"testing"
	"time"
)

func TestWhatOthersHad(t *testing.T) {
	start := time.Now()
	at := func(seconds, machine, ours int) busyTimes {
		return busyTimes{start.Add(time.Duration(seconds) * time.Second), time.Duration(machine) * time.Second, time.Duration(ours) * time.Second}
	}
	for name, c := range map[string]struct {
		before, after busyTimes
		want          float64
	}{
		"a half: of 20 s of two processors the machine was busy for 16, 6 of them ours": {at(0, 100, 10), at(10, 116, 16), 0.5},
		"nothing, if all was ours":                  {at(0, 100, 10), at(10, 106, 16), 0},
		"nothing, if the machine's count is behind": {at(0, 100, 10), at(10, 105, 16), 0},
		"nothing in no time":                        {at(0, 100, 10), at(0, 100, 10), 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := others(c.before, c.after, 2); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
