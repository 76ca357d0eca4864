package ratelimit

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	for _, test := range []struct {
		rate string
		want time.Duration
	}{
		{"", 0}, // not set: no limit
		{"1/s", time.Second},
		{"5/s", 200 * time.Millisecond},
		{"100/m", 600 * time.Millisecond},
		{"1/h", time.Hour},
		{"1000/h", 3600 * time.Millisecond},
		{"1000000/s", time.Microsecond},
		{"1000000/h", 3600 * time.Microsecond},
	} {
		if got, err := parseRate(test.rate); err != nil || got != test.want {
			t.Errorf("%q: one each %v, %v; want one each %v", test.rate, got, err, test.want)
		}
	}
}

func TestParseRateRefuses(t *testing.T) {
	for _, test := range []struct{ name, rate string }{
		{"zero, which would let nobody in or everybody", "0/s"},
		{"a negative rate", "-5/s"},
		{"more than a million", "1000001/s"},
		{"what overflows", "99999999999999999999/s"},
		{"a fraction", "0.5/s"},
		{"an exponent", "1e3/s"},
		{"a missing unit", "5"},
		{"an empty unit", "5/"},
		{"a missing number", "/s"},
		{"an unknown unit", "5/d"},
		{"a unit spelled out", "5/sec"},
		{"a unit in capitals", "5/S"},
		{"a unit with more behind it", "5/s/s"},
		{"a duration for a unit", "5/10s"},
		{"blanks", "5 / s"},
		{"words", "fast"},
		{"digits of another script", "５/s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseRate(test.rate)
			if err == nil {
				t.Fatalf("%q is taken for one each %v", test.rate, got)
			}
			if !strings.Contains(err.Error(), test.rate) || !strings.Contains(err.Error(), "5/s") {
				t.Errorf("the error names not the value and an example: %v", err)
			}
		})
	}
}

// 3/s are not 3.000000003/s.
func TestParseRateIsNeverTooGenerous(t *testing.T) {
	for _, rate := range []string{"3/s", "7/s", "7/m", "999999/h"} {
		interval, err := parseRate(rate)
		if err != nil {
			t.Fatal(err)
		}
		count, unit, _ := strings.Cut(rate, "/")
		n, _ := strconv.Atoi(count)
		if period := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]; time.Duration(n)*interval < period {
			t.Errorf("%s: %d requests fit in %v", rate, n, time.Duration(n)*interval)
		}
	}
}
