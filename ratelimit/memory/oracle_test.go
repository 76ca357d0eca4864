package memory_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
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

func TestZoneDecidesAsTheOracleDoes(t *testing.T) {
	const schedules, steps, clients = 500, 200, 3
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	for range schedules {
		z, clock := newZone()
		interval := time.Duration(1 + random.Int64N(int64(10*time.Second)))
		p := limit.Policy{Interval: interval, Burst: 1 + random.IntN(20)}
		var oracle [clients]bucket
		var passed [clients][]int64
		// the mean gap between requests lies around what the rate allows
		gap := 1 + random.Int64N(int64(interval))
		var lastWait time.Duration
		for step := range steps {
			switch random.IntN(10) {
			case 0: // at once
			case 1: // long idle
				clock.advance(time.Duration(random.Int64N(int64(interval) * 50)))
			case 2: // exactly as long as told, or a nanosecond less
				clock.advance(max(0, lastWait-time.Duration(random.IntN(2))))
			default:
				clock.advance(time.Duration(random.Int64N(2 * gap)))
			}
			n, now := random.IntN(clients), clock.elapsed.Load()
			want := oracle[n].ask(now, int64(interval), p.Burst)
			ticket, refusal := try(z, client(n), p)
			switch {
			case refusal == nil && want == 0:
				ticket.Release(200)
				passed[n] = append(passed[n], now)
			case refusal == nil:
				t.Fatalf("step %d, %+v: admitted, the oracle says wait %d ns", step, p, want)
			case want == 0:
				t.Fatalf("step %d, %+v: refused for %v, the oracle lets it pass", step, p, refusal.RetryAfter)
			case refusal.Reason != limit.RateLimited || int64(refusal.RetryAfter) != want:
				t.Fatalf("step %d, %+v: refused as %v for %v, the oracle says wait %d ns",
					step, p, refusal.Reason, refusal.RetryAfter, want)
			default:
				lastWait = refusal.RetryAfter
			}
		}
		for n := range passed {
			checkWindows(t, passed[n], p)
		}
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
