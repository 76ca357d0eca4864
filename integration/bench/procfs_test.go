package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const after = "S 1 1 1 0 -1 4194560 2 0 0 0 150 25 7 7 20 0 12 0 99 123456789 1000 18446744073709551615 1 1 0"
	for name, c := range map[string]struct {
		stat string
		want usage
		ok   bool
	}{
		"user and system time and resident pages":        {"7 (caddy) " + after, usage{1750 * time.Millisecond, 4096000}, true},
		"a name with spaces and parentheses is no field": {"7 (a) b (c) " + after, usage{1750 * time.Millisecond, 4096000}, true},
		"a line that is cut short is refused":            {"7 (caddy) S 1 1", usage{}, false},
		"words in place of numbers are refused":          {"7 (caddy) " + strings.Replace(after, "150", "some", 1), usage{}, false},
		"nothing is refused":                             {"", usage{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(c.stat, 4096)
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("%+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}
