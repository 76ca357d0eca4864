package main

import "testing"

func TestTable(t *testing.T) {
	got := table([]row{
		{"idle", "memory", "MiB", stock, &spread{52.14, 51, 53}, nil},
		{"idle", "memory", "MiB", ours, &spread{57, 56, 58}, &spread{1.1, 1, 1.2}},
		{"idle", "p50", "µs", ours, &spread{1234, 1.5, 2345}, nil},
		{"busy", "p50", "µs", ours, &spread{-3, -4, 0}, nil},
	})
	want := `
idle                    median  min … max    to stock  min … max
  memory, MiB  stock    52.1    51.0 … 53.0
               gateway  57.0    56.0 … 58.0  1.10 ×    1.00 … 1.20
  p50, µs      gateway  1234    1.50 … 2345

busy                median  min … max     to stock  min … max
  p50, µs  gateway  -3.00   -4.00 … 0.00
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
