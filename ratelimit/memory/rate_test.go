package memory_test

import (
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

func TestBurst(t *testing.T) {
	for _, test := range []struct {
		name     string
		interval time.Duration
		burst    int
	}{
		{"a burst of 1 is one request, then one per interval", time.Second, 1},
		{"5/s with burst 10 lets exactly 10 pass at once", 200 * time.Millisecond, 10},
		{"100/m with burst 30 lets exactly 30 pass at once", 600 * time.Millisecond, 30},
		{"1/h with burst 2 lets exactly 2 pass at once", time.Hour, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			z, clock := newZone()
			p := limit.Policy{Interval: test.interval, Burst: test.burst}
			for range test.burst {
				admit(t, z, client(1), p).Release(200)
			}
			wait := refuse(t, z, client(1), p, limit.RateLimited)
			if wait != test.interval {
				t.Errorf("RetryAfter is %v after the burst, want one interval, %v", wait, test.interval)
			}

			clock.advance(wait - 1)
			if rest := refuse(t, z, client(1), p, limit.RateLimited); rest != 1 {
				t.Errorf("RetryAfter is %v a nanosecond before the time, want 1ns", rest)
			}
			clock.advance(1)
			admit(t, z, client(1), p).Release(200)
			refuse(t, z, client(1), p, limit.RateLimited)
		})
	}
}

func TestIdleClientGetsItsBurstBackAndNoMore(t *testing.T) {
	z, clock := newZone()
	p := limit.Policy{Interval: 200 * time.Millisecond, Burst: 10}
	for _, idle := range []time.Duration{0, 2 * time.Second, time.Hour, 365 * 24 * time.Hour} {
		clock.advance(idle)
		for range 10 {
			admit(t, z, client(1), p).Release(200)
		}
		refuse(t, z, client(1), p, limit.RateLimited)
	}
	clock.advance(600 * time.Millisecond)
	for range 3 {
		admit(t, z, client(1), p).Release(200)
	}
	refuse(t, z, client(1), p, limit.RateLimited)
}

func TestRefusedRequestsAreNotCounted(t *testing.T) {
	z, clock := newZone()
	p := limit.Policy{Interval: time.Second, Burst: 3}
	for range 3 {
		admit(t, z, client(1), p).Release(200)
	}
	for range 1000 {
		if wait := refuse(t, z, client(1), p, limit.RateLimited); wait != time.Second {
			t.Fatalf("RetryAfter is %v, want it to stay 1s however often the client asks", wait)
		}
	}
	clock.advance(time.Second)
	admit(t, z, client(1), p).Release(200)
}

func TestRequestsRefusedForCapacityAreNotCountedAgainstTheRate(t *testing.T) {
	z, _ := newZone()
	p := limit.Policy{Interval: time.Hour, Burst: 2, Concurrency: 1}
	ticket := admit(t, z, client(1), p)
	for range 100 {
		refuse(t, z, client(1), p, limit.OverCapacity)
	}
	ticket.Release(200)
	admit(t, z, client(1), p).Release(200)
	refuse(t, z, client(1), p, limit.RateLimited)
}

func TestLongRunRateIsExact(t *testing.T) {
	for _, test := range []struct {
		name     string
		interval time.Duration
		burst    int
		span     time.Duration
		want     int
	}{
		{"5/s over 10 minutes", 200 * time.Millisecond, 10, 10 * time.Minute, 10 + 3000},
		{"100/m over 10 hours", 600 * time.Millisecond, 1, 10 * time.Hour, 1 + 60_000},
		{"1/h over a year", time.Hour, 3, 365 * 24 * time.Hour, 3 + 365*24},
	} {
		t.Run(test.name, func(t *testing.T) {
			z, clock := newZone()
			p := limit.Policy{Interval: test.interval, Burst: test.burst}
			admitted := 0
			for end := clock.since() + test.span; ; {
				ticket, refusal := try(z, client(1), p)
				if refusal == nil {
					admitted++
					ticket.Release(200)
					continue
				}
				if clock.since()+refusal.RetryAfter > end {
					break
				}
				clock.advance(refusal.RetryAfter)
			}
			if admitted != test.want {
				t.Errorf("%d requests passed, want exactly %d", admitted, test.want)
			}
		})
	}
}

func TestClientsDoNotShareTheirRate(t *testing.T) {
	z, _ := newZone()
	p := limit.Policy{Interval: time.Hour, Burst: 1}
	for n := range 1000 {
		admit(t, z, client(n), p).Release(200)
	}
	for n := range 1000 {
		refuse(t, z, client(n), p, limit.RateLimited)
	}
}

func TestWithoutIntervalThereIsNoRate(t *testing.T) {
	z, _ := newZone()
	for range 10_000 {
		admit(t, z, client(1), limit.Policy{Burst: 1}).Release(200)
	}
}

// A reload that makes the rate looser holds at once: what a client owes under the
// old rate is not more than it could owe under the new one.
func TestALooserRateHoldsAtOnce(t *testing.T) {
	z, clock := newZone()
	strictest := limit.Policy{Interval: time.Hour, Burst: 3}
	for range 3 {
		admit(t, z, client(1), strictest)
	}
	looser := limit.Policy{Interval: 200 * time.Millisecond, Burst: 3}
	if told := refuse(t, z, client(1), looser, limit.RateLimited); told != 200*time.Millisecond {
		t.Errorf("told to wait %v", told)
	}
	clock.advance(200 * time.Millisecond)
	admit(t, z, client(1), looser)
}
