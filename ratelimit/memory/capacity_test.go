package memory_test

import (
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

func TestConcurrencyOfAllClients(t *testing.T) {
	z, _ := newZone()
	p := limit.Policy{Burst: 1, Concurrency: 200}
	var tickets []limit.Ticket
	for n := range 200 {
		tickets = append(tickets, admit(t, z, client(n), p))
	}
	refuse(t, z, client(200), p, limit.OverCapacity)
	if n := z.InFlight(); n != 200 {
		t.Fatalf("%d in flight, want 200: a refused request takes no slot", n)
	}

	tickets[17].Release(200)
	tickets[17] = admit(t, z, client(200), p)
	refuse(t, z, client(201), p, limit.OverCapacity)

	for _, ticket := range tickets {
		ticket.Release(200)
	}
	if n := z.InFlight(); n != 0 {
		t.Errorf("%d in flight after all have ended", n)
	}
}

func TestATicketReleasedTwiceFreesOneSlot(t *testing.T) {
	z, _ := newZone()
	p := strict
	p.Concurrency, p.PerClient = 2, 2
	first := admit(t, z, client(1), p)
	admit(t, z, client(1), p)
	for range 10 {
		if first.Release(401) != nil {
			t.Fatal("one error, told ten times, blocks the client")
		}
	}
	if n := z.InFlight(); n != 1 {
		t.Errorf("%d in flight, want 1", n)
	}
	admit(t, z, client(1), p)
	refuse(t, z, client(1), p, limit.ClientOverCapacity)
	refuse(t, z, client(2), p, limit.OverCapacity)
}

func TestConcurrencyOfOneClient(t *testing.T) {
	z, _ := newZone()
	p := limit.Policy{Burst: 1, Concurrency: 200, PerClient: 20}
	var tickets []limit.Ticket
	for range 20 {
		tickets = append(tickets, admit(t, z, client(1), p))
	}
	refuse(t, z, client(1), p, limit.ClientOverCapacity)
	admit(t, z, client(2), p)
	tickets[0].Release(0)
	admit(t, z, client(1), p)
	refuse(t, z, client(1), p, limit.ClientOverCapacity)
}

func TestZeroMeansAnyNumberInFlight(t *testing.T) {
	z, _ := newZone()
	for range 10_000 {
		admit(t, z, client(1), limit.Policy{Burst: 1})
	}
	if n := z.InFlight(); n != 10_000 {
		t.Errorf("%d in flight, want 10000", n)
	}
}

func TestALowerLimitCountsWhatIsInFlightUnderTheOldOne(t *testing.T) {
	z, _ := newZone()
	before, after := limit.Policy{Burst: 1, Concurrency: 3}, limit.Policy{Burst: 1, Concurrency: 2}
	var tickets []limit.Ticket
	for n := range 3 {
		tickets = append(tickets, admit(t, z, client(n), before))
	}
	tickets[0].Release(200)
	refuse(t, z, client(4), after, limit.OverCapacity)
	tickets[1].Release(200)
	admit(t, z, client(4), after)
}

func TestWaitForASlotIsEstimatedFromTheTimeInFlight(t *testing.T) {
	for _, test := range []struct {
		name       string
		hold, want time.Duration
	}{
		{"two slots, held for 20s each, come free every 10s; three times that", 20 * time.Second, 30 * time.Second},
		{"nobody is told to wait more than a minute", time.Hour, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			z, clock := newZone()
			p := limit.Policy{Burst: 1, Concurrency: 2, PerClient: 2}
			for range 50 {
				ticket := admit(t, z, client(1), p)
				clock.advance(test.hold)
				ticket.Release(200)
			}
			admit(t, z, client(1), p)
			admit(t, z, client(1), p)
			if wait := refuse(t, z, client(1), p, limit.ClientOverCapacity); wait != test.want {
				t.Errorf("over the client's limit RetryAfter is %v, want %v", wait, test.want)
			}
			if wait := refuse(t, z, client(2), p, limit.OverCapacity); wait != test.want {
				t.Errorf("over the limit of all RetryAfter is %v, want %v", wait, test.want)
			}
		})
	}
}

func TestTheEstimateFollowsTheLoad(t *testing.T) {
	z, clock := newZone()
	p := limit.Policy{Burst: 1, Concurrency: 1}
	serve := func(n int, hold time.Duration) {
		for range n {
			ticket := admit(t, z, client(1), p)
			clock.advance(hold)
			ticket.Release(200)
		}
	}
	serve(10, time.Second)
	serve(100, 4*time.Second)
	admit(t, z, client(1), p)
	wait := refuse(t, z, client(1), p, limit.OverCapacity)
	if wait < 11*time.Second || wait > 12*time.Second {
		t.Errorf("RetryAfter is %v after a hundred requests of 4s, want three times 4s or just less", wait)
	}
}
