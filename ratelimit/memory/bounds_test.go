package memory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// crowd sends one request of each client from first to last, ends those that
// pass with status and returns how many did.
func crowd(z *memory.Zone, p limit.Policy, first, last, status int) (admitted int) {
	for n := first; n <= last; n++ {
		if ticket, refusal := try(z, client(n), p); refusal == nil {
			admitted++
			ticket.Release(status)
		}
	}
	return admitted
}

// A sixteenth of the places is for prefixes, one is for everyone.
func TestNeverMoreClientsThanAllowed(t *testing.T) {
	for _, test := range []struct{ allowed, own int }{
		{1, 0}, {2, 1}, {63, 59}, {64, 59}, {100, 93}, {1000, 937}, {10_000, 9374},
	} {
		t.Run(fmt.Sprintf("with max_clients %d, %d of them with a place of their own", test.allowed, test.own), func(t *testing.T) {
			z, _ := newZone()
			p := limit.Policy{Interval: time.Hour, Burst: 1, MaxClients: test.allowed}
			for n := 0; n < 100_000; n += 500 {
				crowd(z, p, n, n+499, 200)
				if clients := z.Clients(); clients > test.allowed {
					t.Fatalf("%d clients after %d came", clients, n+500)
				}
			}
			// all these are of one prefix
			if clients, want := z.Clients(), min(test.own+1, test.allowed); clients != want {
				t.Errorf("%d clients, want %d: each place taken, and one for the neighbours", clients, want)
			}
		})
	}
}

func TestClientsThatFindNoRoomAreStillLimited(t *testing.T) {
	z, clock := newZone()
	p := limit.Policy{Interval: time.Hour, Burst: 10, MaxClients: 1000}
	// 937 have a place; the others are of one prefix and share its limits
	if n := crowd(z, p, 0, 99_999, 200); n != 937+10 {
		t.Errorf("%d of 100000 passed, want 947", n)
	}
	// an hour later all places but that of the neighbours are free again, and those may
	// ask once
	clock.advance(time.Hour)
	if n := crowd(z, p, 1_000_000, 1_099_999, 200); n != 936+1 {
		t.Errorf("%d newcomers passed an hour later, want 937", n)
	}
}

func TestAFloodOfClientsFreesNoBlockedOne(t *testing.T) {
	z, clock := newZone()
	p := strict
	p.MaxClients = 1000
	for n := range 10 {
		block(t, z, client(n), p)
	}
	for minute := range 10 {
		for n := range 10 {
			refuse(t, z, client(n), p, limit.Blocked)
		}
		crowd(z, p, 1000*(minute+1), 1000*(minute+1)+9999, 401)
		clock.advance(time.Minute)
	}
	admit(t, z, client(0), p)
}

func TestAFloodOfClientsMakesNoErrorForgotten(t *testing.T) {
	z, clock := newZone()
	p := strict
	p.MaxClients = 1000
	for n := range 10 {
		answer(t, z, client(n), p, 401)
		answer(t, z, client(n), p, 401)
	}
	clock.advance(5 * time.Minute)
	crowd(z, p, 1000, 20_999, 200)
	for n := range 10 {
		if !answer(t, z, client(n), p, 401) {
			t.Errorf("client %d is not blocked for its third error", n)
		}
	}
}

func TestAFloodOfClientsFreesNoSlot(t *testing.T) {
	z, clock := newZone()
	p := limit.Policy{Interval: time.Second, Burst: 1, PerClient: 1, MaxClients: 1000}
	stream := admit(t, z, client(0), p)
	for hour := range 10 {
		clock.advance(time.Hour)
		crowd(z, p, 1000, 20_000+hour, 200)
	}
	refuse(t, z, client(0), p, limit.ClientOverCapacity)
	stream.Release(200)
	if n := z.InFlight(); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
	admit(t, z, client(0), p)
}

func TestClientsWithoutRoomAreNotBlockedForEachOthersErrors(t *testing.T) {
	z, _ := newZone()
	p := strict
	p.MaxClients = 64
	crowd(z, p, 0, 9999, 401) // an error keeps each place taken
	for range 10 {
		crowd(z, p, 10_000, 19_999, 401)
	}
	for n := 20_000; n < 21_000; n++ {
		admit(t, z, client(n), p).Release(200)
	}
}

func TestOverflowFreesWhatItTook(t *testing.T) {
	z, clock := newZone()
	p := limit.Policy{Interval: time.Minute, Burst: 10_000, PerClient: 1, MaxClients: 64}
	crowd(z, p, 0, 9999, 200)
	for round := range 3 {
		var tickets []limit.Ticket
		for n := range 10_000 {
			if ticket, refusal := try(z, client(20_000*(round+1)+n), p); refusal == nil {
				tickets = append(tickets, ticket)
			}
		}
		if len(tickets) != 1 {
			t.Fatalf("round %d: %d requests at once, want one for the neighbours", round, len(tickets))
		}
		// what a ticket took is given back to where it came from, even if its
		// client has found room in the meantime
		if round == 1 {
			clock.advance(24 * time.Hour)
			crowd(z, p, 20_000*(round+1), 20_000*(round+1)+9999, 200)
		}
		for _, ticket := range tickets {
			ticket.Release(200)
		}
		if n := z.InFlight(); n != 0 {
			t.Fatalf("round %d: %d in flight, want 0", round, n)
		}
	}
}

func TestForgottenClientsMakeRoom(t *testing.T) {
	z, clock := newZone()
	p := limit.Policy{Interval: time.Second, Burst: 10, MaxClients: 1000}
	for day := range 5 {
		first := 10_000 * day
		if n := crowd(z, p, first, first+199, 200); n != 200 {
			t.Fatalf("day %d: %d of 200 new clients passed, want all", day, n)
		}
		clock.advance(24 * time.Hour)
	}
	// each newcomer pays for looking at eight old ones: 200 have seen them all
	if n := z.Clients(); n > 400 {
		t.Errorf("%d clients are remembered, want but the last days'", n)
	}
}

func TestARefusedClientIsNotRemembered(t *testing.T) {
	z, _ := newZone()
	p := limit.Policy{Interval: time.Second, Burst: 1, Concurrency: 1, MaxClients: 1_000_000}
	admit(t, z, client(0), p)
	if n := crowd(z, p, 1, 10_000, 200); n != 0 {
		t.Fatalf("%d passed, want none", n)
	}
	if n := z.Clients(); n != 1 {
		t.Errorf("%d clients are remembered, want the one that passed", n)
	}
}
