package jwks

import (
	"net/http"
	"testing"
	"time"
)

func TestInterval(t *testing.T) {
	const refresh = 10 * time.Minute
	for _, test := range []struct {
		name    string
		refresh time.Duration
		header  []string
		want    time.Duration
	}{
		{"the operator's, if the provider says nothing", refresh, nil, refresh},
		{"the provider's, if it is shorter", refresh, []string{"max-age=300"}, 5 * time.Minute},
		{"never slower than the operator's", refresh, []string{"max-age=900"}, refresh},
		{"a minute at least, whatever the provider says", refresh, []string{"max-age=0"}, time.Minute},
		{"just under a minute", refresh, []string{"max-age=59"}, time.Minute},
		{"just over a minute", refresh, []string{"max-age=61"}, 61 * time.Second},
		{"less than a minute, if the operator says so", 5 * time.Second, []string{"max-age=0"}, 5 * time.Second},
		{"an hour at most, if the provider says more", 24 * time.Hour, []string{"max-age=86400"}, time.Hour},
		{"just under an hour", 24 * time.Hour, []string{"max-age=3599"}, 3599 * time.Second},
		{"more than an hour, if only the operator says so", 24 * time.Hour, nil, 24 * time.Hour},
		{"among other directives", refresh, []string{"public, must-revalidate , max-age=120,immutable"}, 2 * time.Minute},
		{"in a header of its own", refresh, []string{"public", "max-age=120"}, 2 * time.Minute},
		{"in capitals", refresh, []string{"MAX-AGE=120"}, 2 * time.Minute},
		{"in quotes", refresh, []string{`max-age="120"`}, 2 * time.Minute},
		{"the first of two", refresh, []string{"max-age=120, max-age=180"}, 2 * time.Minute},
		{"not that of shared caches", refresh, []string{"s-maxage=120"}, refresh},
		{"not of something that only has the same end", refresh, []string{"x-max-age=120"}, refresh},
		{"not without a number", refresh, []string{"max-age"}, refresh},
		{"not an empty number", refresh, []string{"max-age="}, refresh},
		{"not a negative number", refresh, []string{"max-age=-1"}, refresh},
		{"not a fraction", refresh, []string{"max-age=120.5"}, refresh},
		{"not a number that overflows", refresh, []string{"max-age=99999999999999999999"}, refresh},
		{"not a number of seconds that is too many nanoseconds", refresh, []string{"max-age=9300000000"}, refresh},
		{"the largest number does not overflow", 24 * time.Hour, []string{"max-age=4294967295"}, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := http.Header{"Cache-Control": test.header}
			if got := interval(test.refresh, header); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		name     string
		refresh  time.Duration
		failures int
		want     time.Duration
	}{
		{"a second after the first failure, as most are short", time.Minute, 1, time.Second},
		{"twice as long after the next", time.Minute, 2, 2 * time.Second},
		{"and the next", time.Minute, 5, 16 * time.Second},
		{"half a minute at most", time.Minute, 6, 30 * time.Second},
		{"half a minute for good", time.Minute, 1_000_000, 30 * time.Second},
		{"never slower than when all is well", 3 * time.Second, 5, 3 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := backoff(test.refresh, test.failures); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func TestEarly(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for range 1000 {
		d := early(10 * time.Minute)
		if d < 8*time.Minute || d >= 9*time.Minute {
			t.Fatalf("%v is not within 8 and 9 minutes", d)
		}
		seen[d] = true
	}
	if len(seen) < 990 {
		t.Errorf("only %d of 1000 differ: gateways would ask all at once", len(seen))
	}
}
