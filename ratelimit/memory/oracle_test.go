package memory_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// bucket is GCRA once more, in its other form (ITU-T I.371, continuous-state
// leaky bucket): each request pours one interval in, one nanosecond leaks out per
// nanosecond. It is the oracle that the zone is compared with.
type bucket struct{ level, last int64 }

// ask returns how long the request must wait; 0 means that it passes.
func (b *bucket) ask(now, interval int64, burst int) (wait int64) {
	b.level = max(0, b.level-(now-b.last))
	b.last = now
	if over := b.level - int64(burst-1)*interval; over > 0 {
		return over
	}
	b.level += interval
	return 0
}

// schedule is a random sequence of requests of a few clients, on a clock that is also
// set back and forth.
type schedule struct {
	random *rand.Rand
	zone   *memory.Zone
	clock  *clock
	first  int // of its clients: each schedule has its own
}

const clientsOfASchedule = 3

func (s schedule) run(t *testing.T, requests int) {
	t.Helper()
	random, clock := s.random, s.clock
	interval := time.Duration(1 + random.Int64N(int64(10*time.Second)))
	p := limit.Policy{Interval: interval, Burst: 1 + random.IntN(20), MaxClients: 1_000_000}
	var oracle [clientsOfASchedule]bucket
	var passed [clientsOfASchedule][]int64
	for n := range oracle {
		oracle[n].last = clock.elapsed.Load()
	}
	// the mean gap between requests lies around what the rate allows
	gap := 1 + random.Int64N(int64(interval))
	var lastWait time.Duration
	for range requests {
		switch random.IntN(12) {
		case 0: // at once
		case 1: // long idle
			clock.advance(time.Duration(random.Int64N(int64(interval) * 50)))
		case 2: // exactly as long as told, or a nanosecond less
			clock.advance(max(0, lastWait-time.Duration(random.IntN(2))))
		case 3:
			clock.set.Add(random.Int64N(int64(2*time.Hour)) - int64(time.Hour))
		default:
			clock.advance(time.Duration(random.Int64N(2 * gap)))
		}
		n, now := random.IntN(clientsOfASchedule), clock.elapsed.Load()
		want := oracle[n].ask(now, int64(interval), p.Burst)
		ticket, refusal := try(s.zone, client(s.first+n), p)
		switch {
		case refusal == nil && want == 0:
			ticket.Release(200)
			passed[n] = append(passed[n], now)
		case refusal == nil:
			t.Fatalf("%+v: admitted, the oracle says wait %d ns", p, want)
		case want == 0:
			t.Fatalf("%+v: refused for %v, the oracle lets it pass", p, refusal.RetryAfter)
		case refusal.Reason != limit.RateLimited || int64(refusal.RetryAfter) != want:
			t.Fatalf("%+v: refused as %v for %v, the oracle says wait %d ns", p, refusal.Reason, refusal.RetryAfter, want)
		default:
			lastWait = refusal.RetryAfter
		}
	}
	for n := range passed {
		checkWindows(t, passed[n], p)
	}
}

func TestZoneDecidesAsTheOracleDoes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, test := range []struct {
		name                string
		schedules, requests int
	}{
		{"in a million short schedules", 1_000_000, 12},
		{"in long schedules", 500, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			schedules := test.schedules
			if raceDetector || testing.Short() {
				schedules = max(500, schedules/20) // as many take minutes
			}
			z, clock := newZone()
			for n := range schedules {
				schedule{random, z, clock, n * clientsOfASchedule}.run(t, test.requests)
			}
		})
	}
}

// checkWindows expects that in no window of time more passed than the burst and
// one request per interval.
func checkWindows(t *testing.T, passed []int64, p limit.Policy) {
	t.Helper()
	for i := range passed {
		for j := i; j < len(passed); j++ {
			window := passed[j] - passed[i]
			if most := p.Burst + int(window/int64(p.Interval)); j-i+1 > most {
				t.Fatalf("%d requests passed within %d ns, want %d at most (%+v)", j-i+1, window, most, p)
			}
		}
	}
}
