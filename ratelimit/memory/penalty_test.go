package memory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

var strict = limit.Policy{
	Burst:         1,
	Penalty:       3,
	PenaltyTime:   10 * time.Minute,
	PenaltyStatus: []int{400, 401, 403, 404, 405, 413, 415, 422},
}

// block makes the zone block the client.
func block(t *testing.T, z *memory.Zone, key limit.Key, p limit.Policy) {
	t.Helper()
	for n := 1; n <= p.Penalty; n++ {
		if blocked := answer(t, z, key, p, 401); blocked != (n == p.Penalty) {
			t.Fatalf("error %d: blocked is %v, want the block with error %d", n, blocked, p.Penalty)
		}
	}
}

func TestThirdErrorInARowBlocksForExactlyTenMinutes(t *testing.T) {
	z, clock := newZone()
	block(t, z, client(1), strict)
	if wait := refuse(t, z, client(1), strict, limit.Blocked); wait != 10*time.Minute {
		t.Errorf("RetryAfter is %v, want 10m", wait)
	}
	clock.advance(10*time.Minute - 1)
	if wait := refuse(t, z, client(1), strict, limit.Blocked); wait != 1 {
		t.Errorf("RetryAfter is %v a nanosecond before the end, want 1ns", wait)
	}
	clock.advance(1)
	if answer(t, z, client(1), strict, 401) {
		t.Error("one error after the block blocks again, want three anew")
	}
}

func TestRefusalsDoNotLengthenABlock(t *testing.T) {
	z, clock := newZone()
	block(t, z, client(1), strict)
	for range 600 {
		refuse(t, z, client(1), strict, limit.Blocked)
		clock.advance(time.Second)
	}
	admit(t, z, client(1), strict)
}

func TestABlockIsForItsClientOnly(t *testing.T) {
	z, _ := newZone()
	block(t, z, client(1), strict)
	admit(t, z, client(2), strict).Release(200)
}

func TestErrorsOfTwoClientsAreNotAddedUp(t *testing.T) {
	z, _ := newZone()
	for range 2 {
		for n := range 100 {
			if answer(t, z, client(n), strict, 401) {
				t.Fatal("blocked after two errors of its own")
			}
		}
	}
}

func TestWhatAStatusSaysOfTheClient(t *testing.T) {
	const counts, resets, neither = "counts", "resets", "neither"
	for _, test := range []struct {
		name   string
		status int
		want   string
	}{
		{"a bad request counts", 400, counts},
		{"a bad token counts", 401, counts},
		{"a forbidden request counts", 403, counts},
		{"an unknown path counts", 404, counts},
		{"a wrong method counts", 405, counts},
		{"a body too large counts", 413, counts},
		{"a wrong content type counts", 415, counts},
		{"an unprocessable body counts", 422, counts},
		{"a success resets", 200, resets},
		{"an empty success resets", 204, resets},
		{"a redirect resets", 304, resets},
		{"an aborted request does neither", 0, neither},
		{"an informational answer does neither", 103, neither},
		{"a timeout of the client does neither", 408, neither},
		{"a refusal for speed does neither", 429, neither},
		{"a client that left does neither", 499, neither},
		{"a fault of ours does neither", 500, neither},
		{"a fault of the upstream does neither", 502, neither},
		{"a busy upstream does neither", 503, neither},
		{"a slow upstream does neither", 504, neither},
	} {
		t.Run(test.name, func(t *testing.T) {
			z, _ := newZone()
			answer(t, z, client(1), strict, 401)
			answer(t, z, client(1), strict, 401)
			blocked := answer(t, z, client(1), strict, test.status)
			if want := test.want == counts; blocked != want {
				t.Fatalf("as third after two errors it blocks: %v, want %v", blocked, want)
			}
			if blocked {
				return
			}
			blocked = answer(t, z, client(1), strict, 401)
			if want := test.want == neither; blocked != want {
				t.Errorf("the error after it blocks: %v, want %v", blocked, want)
			}
		})
	}
}

func TestErrorsOlderThanThePenaltyTimeAreForgotten(t *testing.T) {
	for _, test := range []struct {
		pause time.Duration
		want  bool
	}{
		{10*time.Minute - 1, true},
		{10 * time.Minute, false},
		{24 * time.Hour, false},
	} {
		t.Run(fmt.Sprintf("a third error %v after the second blocks: %v", test.pause, test.want), func(t *testing.T) {
			z, clock := newZone()
			answer(t, z, client(1), strict, 404)
			answer(t, z, client(1), strict, 404)
			clock.advance(test.pause)
			if blocked := answer(t, z, client(1), strict, 404); blocked != test.want {
				t.Errorf("it blocks: %v", blocked)
			}
		})
	}
}

func TestWithoutPenaltyNobodyIsBlocked(t *testing.T) {
	z, _ := newZone()
	p := strict
	p.Penalty = 0
	for range 1000 {
		if answer(t, z, client(1), p, 401) {
			t.Fatal("blocked")
		}
	}
}

func TestBlockComesBeforeEveryOtherRefusal(t *testing.T) {
	z, _ := newZone()
	p := strict
	p.Interval, p.Burst, p.Concurrency, p.PerClient = time.Second, 4, 1, 1
	block(t, z, client(1), p)
	lax := p
	lax.Concurrency, lax.PerClient = 0, 0
	admit(t, z, client(2), lax)
	refuse(t, z, client(3), p, limit.OverCapacity)
	refuse(t, z, client(1), p, limit.Blocked)
}

func TestRequestsInFlightOutliveTheBlockOfTheirClient(t *testing.T) {
	z, _ := newZone()
	stream := admit(t, z, client(1), strict)
	block(t, z, client(1), strict)
	if n := z.InFlight(); n != 1 {
		t.Fatalf("%d in flight, want the stream that began before the block", n)
	}
	if stream.Release(200) != nil {
		t.Error("the stream's success blocks its client")
	}
	if n := z.InFlight(); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
	refuse(t, z, client(1), strict, limit.Blocked) // a late success does not free it
}

// A Retry-After that was told is a promise.
func TestABlockEndsWhenToldWhateverEndsMeanwhile(t *testing.T) {
	z, clock := newZone()
	late := make([]limit.Ticket, 3)
	for i := range late {
		late[i] = admit(t, z, client(1), strict)
	}
	block(t, z, client(1), strict)
	told := refuse(t, z, client(1), strict, limit.Blocked)
	clock.advance(5 * time.Minute)
	for _, ticket := range late {
		ticket.Release(401)
	}
	clock.advance(told - 5*time.Minute)
	if _, refusal := try(z, client(1), strict); refusal != nil {
		t.Errorf("refused (%v for %v more) after waiting as long as told", refusal.Reason, refusal.RetryAfter)
	}
}

func TestABlockedClientIsToldToWaitForItsRateToo(t *testing.T) {
	z, clock := newZone()
	p := strict
	p.Interval, p.Burst = time.Hour, 3
	block(t, z, client(1), p)
	told := refuse(t, z, client(1), p, limit.Blocked)
	clock.advance(told)
	if _, refusal := try(z, client(1), p); refusal != nil {
		t.Errorf("refused (%v for %v more) after waiting as long as told", refusal.Reason, refusal.RetryAfter)
	}
}
