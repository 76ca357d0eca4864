package main

import "testing"

func TestGoals(t *testing.T) {
	of := func(median float64) *spread { return &spread{median, 0, 100} }
	for name, c := range map[string]struct {
		goal         goal
		value, ratio *spread
		want         string // nothing: no verdict
	}{
		"a ratio that is just as great as it may be":    {atMost(1.3), of(500), of(1.3), "≤ 1.30 ×: met"},
		"a ratio that is greater than it may be":        {atMost(1.3), of(1), of(1.31), "≤ 1.30 ×: NOT MET"},
		"a ratio that is just as small as it may be":    {atLeast(0.8), of(500), of(0.8), "≥ 0.80 ×: met"},
		"a ratio that is smaller than it may be":        {atLeast(0.8), of(500), of(0.79), "≥ 0.80 ×: NOT MET"},
		"a ratio between two bounds":                    {within5, of(500), of(1.05), "0.95 … 1.05 ×: met"},
		"a ratio below two bounds":                      {within5, of(500), of(0.94), "0.95 … 1.05 ×: NOT MET"},
		"a ratio above two bounds":                      {within5, of(500), of(1.06), "0.95 … 1.05 ×: NOT MET"},
		"a value of its own, whatever its ratio":        {goal{most: 60, unit: "MiB"}, of(60), of(9), "≤ 60 MiB: met"},
		"a value that is too great, whatever its ratio": {goal{most: 60, unit: "MiB"}, of(60.5), of(1), "≤ 60 MiB: NOT MET"},
		"without a goal there is no verdict":            {goal{}, of(1), of(1), ""},
		"without a ratio there is none on it":           {atMost(1.3), of(1), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if v := c.goal.judge(c.value, c.ratio); v != nil {
				got = v.String()
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
