package memory_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// waiting lets the client ask when all slots are taken, and expects a place.
func waiting(t *testing.T, z *memory.Zone, key limit.Key, p *limit.Policy) limit.Place {
	t.Helper()
	d := z.Admit(limit.Client{Key: key}, p)
	if d.Place == nil || d.Ticket != nil || d.Reason != 0 {
		t.Fatalf("the decision is %+v, want a place to wait", d)
	}
	return d.Place
}

var patient = limit.Policy{
	Interval: time.Hour, Burst: 3, Concurrency: 1, PerClient: 1, Queue: 10, QueueWait: 5 * time.Second,
}

func TestWhoWaitsGetsTheSlotWhenItIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := memory.New()
		first := admit(t, z, client(1), patient)
		place := waiting(t, z, client(2), &patient)
		if z.Waiting() != 1 {
			t.Errorf("%d wait", z.Waiting())
		}
		go func() {
			time.Sleep(3 * time.Second) // of the bubble's clock
			first.Release(200)
		}()
		since := time.Now()
		d := place.Wait(t.Context())
		if d.Ticket == nil || time.Since(since) != 3*time.Second {
			t.Fatalf("after %v the decision is %+v", time.Since(since), d)
		}
		if z.InFlight() != 1 || z.Waiting() != 0 {
			t.Errorf("%d in flight, %d wait", z.InFlight(), z.Waiting())
		}
		d.Ticket.Release(200)
		if z.InFlight() != 0 {
			t.Errorf("%d in flight at the end", z.InFlight())
		}
	})
}

func TestWhoHasWaitedLongEnoughIsRefusedAndNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := memory.New()
		first := admit(t, z, client(1), patient)
		for range 10 { // more often than its burst allows
			since := time.Now()
			d := waiting(t, z, client(2), &patient).Wait(t.Context())
			if d.Reason != limit.OverCapacity || time.Since(since) != patient.QueueWait {
				t.Fatalf("after %v the decision is %+v", time.Since(since), d)
			}
			if d.Quota.Remaining != 3 {
				t.Fatalf("%d requests remain of a burst of 3 when none has passed", d.Quota.Remaining)
			}
		}
		first.Release(200)
	})
}

func TestTheRateOfWhoWaitsIsTakenAtOnce(t *testing.T) {
	z, _ := newZone()
	p := patient
	p.PerClient = 0
	admit(t, z, client(1), p)
	for range 3 {
		waiting(t, z, client(2), &p)
	}
	refuse(t, z, client(2), p, limit.RateLimited)
}

func TestWhoLeavesTheQueueIsOutAtOnceAndItsRateStaysTaken(t *testing.T) {
	z, _ := newZone()
	p := patient
	p.PerClient = 0
	admit(t, z, client(1), p)
	for range 3 {
		ctx, leave := context.WithCancel(t.Context())
		place := waiting(t, z, client(2), &p)
		leave()
		if d := place.Wait(ctx); d.Reason != limit.Gone {
			t.Fatalf("the decision is %+v", d)
		}
		if z.Waiting() != 0 {
			t.Fatalf("%d wait", z.Waiting())
		}
	}
	refuse(t, z, client(2), p, limit.RateLimited)
}

func TestASlotThatCameForOneWhoHasLeftIsFree(t *testing.T) {
	z, _ := newZone()
	first := admit(t, z, client(1), patient)
	place := waiting(t, z, client(2), &patient)
	first.Release(200) // which serves the place
	if z.InFlight() != 1 {
		t.Fatalf("%d in flight, want the one that waited", z.InFlight())
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if d := place.Wait(ctx); d.Reason != limit.Gone {
		t.Fatalf("the decision is %+v", d)
	}
	if z.InFlight() != 0 {
		t.Errorf("%d in flight, want 0", z.InFlight())
	}
	admit(t, z, client(2), patient)
}

func TestAClientAtItsOwnLimitWaitsWithoutHoldingUpOthers(t *testing.T) {
	z, _ := newZone()
	p := patient
	p.Concurrency = 2
	mine := admit(t, z, client(1), p)
	capped := waiting(t, z, client(1), &p) // one in flight is all that it may have
	other := waiting(t, z, client(2), &p).Wait(t.Context())
	if other.Ticket == nil {
		t.Fatalf("the other client's decision is %+v, want the slot that is free", other)
	}
	mine.Release(200)
	d := capped.Wait(t.Context())
	if d.Ticket == nil {
		t.Fatalf("the decision is %+v when the client's own slot is free", d)
	}
	d.Ticket.Release(200)
	other.Ticket.Release(200)
	if z.InFlight() != 0 {
		t.Errorf("%d in flight at the end", z.InFlight())
	}
}

func TestWhoComesLaterDoesNotGetPastThoseWhoWait(t *testing.T) {
	z, _ := newZone()
	p := patient
	first := admit(t, z, client(1), p)
	place := waiting(t, z, client(2), &p)
	later := waiting(t, z, client(3), &p)
	first.Release(200)
	if d := place.Wait(t.Context()); d.Ticket == nil {
		t.Errorf("the first in the queue is refused: %+v", d)
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if d := later.Wait(ctx); d.Reason != limit.Gone {
		t.Errorf("the decision is %+v", d)
	}
}

func TestAFullQueueRefusesWithoutCounting(t *testing.T) {
	z, _ := newZone()
	p := patient
	p.Queue = 1
	admit(t, z, client(1), p)
	waiting(t, z, client(2), &p)
	for range 10 {
		refuse(t, z, client(3), p, limit.OverCapacity)
	}
}

func TestManyWaitAndLeaveAndNoSlotIsLost(t *testing.T) {
	z := memory.New()
	p := limit.Policy{Burst: 1, Concurrency: 4, PerClient: 2, Queue: 16, QueueWait: time.Millisecond}
	together(func(g int) {
		for n := range 300 {
			d := z.Admit(limit.Client{Key: client(g % 6)}, &p)
			if d.Place != nil {
				ctx, leave := context.WithCancel(context.Background())
				if n%5 == 0 {
					leave()
				}
				d = d.Place.Wait(ctx)
				leave()
			}
			if d.Ticket != nil {
				if in := z.InFlight(); in > 4 {
					t.Errorf("%d in flight", in)
				}
				d.Ticket.Release(200)
			}
		}
	})
	if z.InFlight() != 0 || z.Waiting() != 0 {
		t.Fatalf("%d in flight, %d wait at the end", z.InFlight(), z.Waiting())
	}
	for n := range 6 {
		for range 2 {
			admit(t, z, client(n), limit.Policy{Burst: 1, PerClient: 2})
		}
	}
}

func TestAClientThatIsBlockedWhileItWaitsIsNotServed(t *testing.T) {
	z, clock := newZone()
	p := patient
	p.PerClient, p.Penalty, p.PenaltyTime, p.PenaltyStatus = 2, 1, 10*time.Minute, []int{401}
	first := admit(t, z, client(1), p)
	place := waiting(t, z, client(1), &p)
	clock.advance(time.Second)
	if first.Release(401) == nil {
		t.Fatal("the error does not block")
	}
	if d := place.Wait(t.Context()); d.Reason != limit.Blocked || d.RetryAfter != 10*time.Minute {
		t.Fatalf("the decision is %+v, want it refused as blocked for 10m", d)
	}
	if z.InFlight() != 0 {
		t.Errorf("%d in flight, want the slot free", z.InFlight())
	}
}

// What a request took and has been paid off by time is not given back once more.
func TestARefundNeverLetsMorePassThanTheRate(t *testing.T) {
	for _, test := range []struct {
		name      string
		waited    time.Duration
		others    int // requests of the same client just before the end
		remaining int
	}{
		{"at once all that it took is given back", 0, 0, 3},
		{"later only what is not paid off", 400 * time.Millisecond, 0, 3},
		{"after an interval there is nothing to give back", time.Second, 0, 3},
		{"so it is for who has asked again", 7 * time.Second, 2, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := memory.New()
				p := patient
				p.Interval, p.PerClient, p.QueueWait = time.Second, 0, test.waited
				admit(t, z, client(9), p)
				place := waiting(t, z, client(1), &p)
				if test.waited > 0 {
					time.Sleep(test.waited - 1) // of the bubble's clock
				}
				for range test.others {
					waiting(t, z, client(1), &p)
				}
				if d := place.Wait(t.Context()); d.Reason != limit.OverCapacity || d.Quota.Remaining != test.remaining {
					t.Errorf("the decision is %+v, want %d requests to remain", d, test.remaining)
				}
			})
		})
	}
}
