package main

import (
	"slices"
	"testing"
)

var someRows = []row{
	{"idle", "memory", "MiB", stock, &spread{52.14, 51, 53}, nil, nil},
	{"idle", "memory", "MiB", ours, &spread{57, 56, 58}, &spread{1.1, 1, 1.2}, &verdict{"≤ 60 MiB", true}},
	{"idle", "p50", "µs", ours, &spread{1234, 1.5, 2345}, nil, nil},
	{"busy", "p50", "µs", ours, &spread{-3, -4, 0}, nil, &verdict{"≤ 1.30 ×", false}},
}

func TestTable(t *testing.T) {
	want := `
idle                    median  min … max    to stock  min … max    goal
  memory, MiB  stock    52.1    51.0 … 53.0
               gateway  57.0    56.0 … 58.0  1.10 ×    1.00 … 1.20  ≤ 60 MiB: met
  p50, µs      gateway  1234    1.50 … 2345

busy                median  min … max     to stock  min … max  goal
  p50, µs  gateway  -3.00   -4.00 … 0.00                       ≤ 1.30 ×: NOT MET
`
	if got := table(someRows); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestGoalsAreSeenAtOnce(t *testing.T) {
	rows := append(slices.Clone(someRows), row{"busy", "p50", "µs", stockSame, &spread{3, 3, 3}, &spread{1.01, 1, 1.02}, &verdict{"0.95 … 1.05 ×", true}})
	want := `
the gateway's goals: 1 of 2 met
  idle: memory  57.0 MiB  1.10 ×  ≤ 60 MiB: met
  busy: p50     -3.00 µs          ≤ 1.30 ×: NOT MET

what the rig is to tell apart: 1 of 1 met
  busy: p50  3.00 µs  1.01 ×  0.95 … 1.05 ×: met
`
	if got := goals(rows); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := goals(someRows[:1]); got != "" {
		t.Errorf("without goals:\n%s", got)
	}
}
