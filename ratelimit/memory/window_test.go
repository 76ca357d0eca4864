package memory_test

import (
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// windowed blocks for three errors in a row, and for five within ten minutes.
var windowed = func() limit.Policy {
	p := strict
	p.Window, p.WindowTime = 5, 10*time.Minute
	return p
}()

func TestAGoodRequestInBetweenDoesNotWashErrorsOff(t *testing.T) {
	z, clock := newZone()
	for n := 1; n <= 5; n++ {
		clock.advance(2 * time.Minute)
		if blocked := answer(t, z, client(1), windowed, 401); blocked != (n == 5) {
			t.Fatalf("error %d: blocked is %v, want the block with the fifth", n, blocked)
		}
		if n < 5 {
			answer(t, z, client(1), windowed, 200)
		}
	}
	blocks := z.Blocks()
	if len(blocks) != 1 || blocks[0].Cause != limit.ErrorsInWindow {
		t.Errorf("blocks are %+v, want one for errors in the window", blocks)
	}
	if wait := refuse(t, z, client(1), windowed, limit.Blocked); wait != strict.PenaltyTime {
		t.Errorf("blocked for %v, want as long as the penalty says", wait)
	}
}

func TestTheWindowIsExact(t *testing.T) {
	for _, test := range []struct {
		name  string
		after time.Duration // between four errors at once and the fifth
		want  bool
	}{
		{"just before the window has passed the fifth error blocks", 10*time.Minute - time.Millisecond, true},
		{"when it has passed the fifth is the first", 10 * time.Minute, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			z, clock := newZone()
			for range 4 {
				answer(t, z, client(1), windowed, 401)
				answer(t, z, client(1), windowed, 200)
			}
			clock.advance(test.after)
			if blocked := answer(t, z, client(1), windowed, 401); blocked != test.want {
				t.Errorf("blocked is %v", blocked)
			}
		})
	}
}

func TestErrorsLeaveTheWindowOneByOne(t *testing.T) {
	z, clock := newZone()
	// one error in three minutes: never more than four within ten
	for n := range 1000 {
		if answer(t, z, client(1), windowed, 401) {
			t.Fatalf("blocked for error %d", n+1)
		}
		answer(t, z, client(1), windowed, 200)
		clock.advance(3 * time.Minute)
	}
	// the last three are 3, 6 and 9 minutes old: two more make five
	if answer(t, z, client(1), windowed, 401) {
		t.Fatal("blocked for the fourth error within the window")
	}
	answer(t, z, client(1), windowed, 200)
	if !answer(t, z, client(1), windowed, 401) {
		t.Error("not blocked for the fifth")
	}
}

func TestAWindowAloneBlocksToo(t *testing.T) {
	z, _ := newZone()
	p := windowed
	p.Penalty = 0
	for n := 1; n <= 5; n++ {
		if blocked := answer(t, z, client(1), p, 401); blocked != (n == 5) {
			t.Fatalf("error %d: blocked is %v", n, blocked)
		}
	}
}

func TestRepeatedBlocksDoubleUpToADay(t *testing.T) {
	z, clock := newZone()
	want := 10 * time.Minute
	for n := range 12 {
		block(t, z, client(1), strict)
		wait := refuse(t, z, client(1), strict, limit.Blocked)
		if wait != want {
			t.Fatalf("block %d lasts %v, want %v", n+1, wait, want)
		}
		clock.advance(wait)
		want = min(2*want, 24*time.Hour)
	}
	clock.advance(24*time.Hour - 1)
	block(t, z, client(1), strict)
	if wait := refuse(t, z, client(1), strict, limit.Blocked); wait != 24*time.Hour {
		t.Errorf("within a day of the last block it lasts %v, want 24h", wait)
	}
	clock.advance(48 * time.Hour)
	block(t, z, client(1), strict)
	if wait := refuse(t, z, client(1), strict, limit.Blocked); wait != 10*time.Minute {
		t.Errorf("a day after the last block it lasts %v, want 10m as at first", wait)
	}
}

func TestAPenaltyLongerThanADayIsNotCutAndDoesNotGrow(t *testing.T) {
	z, clock := newZone()
	p := strict
	p.PenaltyTime = 72 * time.Hour
	for range 2 {
		block(t, z, client(1), p)
		wait := refuse(t, z, client(1), p, limit.Blocked)
		if wait != 72*time.Hour {
			t.Fatalf("blocked for %v, want 72h", wait)
		}
		clock.advance(wait)
	}
}

func TestBlocksByHand(t *testing.T) {
	z, clock := newZone()
	who := limit.Client{Key: limit.NameKey("mallory"), Name: "mallory"}
	made := z.Block(who, time.Hour)
	if made.Cause != limit.ByHand || made.Client != who || made.Until.Sub(made.Since) != time.Hour {
		t.Errorf("the block is %+v", made)
	}
	if wait := refuse(t, z, who.Key, strict, limit.Blocked); wait != time.Hour {
		t.Errorf("blocked for %v", wait)
	}
	clock.advance(time.Minute)
	z.Block(who, 5*time.Minute) // changed our mind
	if wait := refuse(t, z, who.Key, strict, limit.Blocked); wait != 5*time.Minute {
		t.Errorf("blocked for %v, want the later block", wait)
	}
	if !z.Unblock(who.Key) || z.Unblock(who.Key) {
		t.Error("Unblock does not tell whether there was a block")
	}
	admit(t, z, who.Key, strict).Release(200)
	// and what led to it is forgotten, also for the length of the next
	block(t, z, who.Key, strict)
	if wait := refuse(t, z, who.Key, strict, limit.Blocked); wait != strict.PenaltyTime {
		t.Errorf("blocked for %v after a block that was lifted, want as at first", wait)
	}
}

func TestLiftingABlockForgetsTheErrorsToo(t *testing.T) {
	z, _ := newZone()
	answer(t, z, client(1), strict, 401)
	answer(t, z, client(1), strict, 401)
	if z.Unblock(client(1)) {
		t.Error("a client with two errors was blocked")
	}
	if answer(t, z, client(1), strict, 401) {
		t.Error("the errors before still count")
	}
}

func TestBlocksOutliveAZone(t *testing.T) {
	old, clock := newZone()
	block(t, old, client(1), strict)
	block(t, old, client(2), strict)
	clock.advance(10 * time.Minute)
	block(t, old, client(2), strict)
	block(t, old, client(3), strict)
	blocks := old.Blocks()

	clock.advance(5 * time.Minute)
	fresh := memory.NewZone(clock.since, clock.now)
	fresh.Restore(blocks)
	admit(t, fresh, client(1), strict).Release(200)
	if wait := refuse(t, fresh, client(2), strict, limit.Blocked); wait != 15*time.Minute {
		t.Errorf("blocked for %v more, want 15m of 20", wait)
	}
	if wait := refuse(t, fresh, client(3), strict, limit.Blocked); wait != 5*time.Minute {
		t.Errorf("blocked for %v more, want 5m of 10", wait)
	}
	if n := fresh.BlocksInForce(); n != 2 {
		t.Errorf("%d blocks in force, want 2", n)
	}
	// whose block has ended is blocked for longer the next time
	block(t, fresh, client(1), strict)
	if wait := refuse(t, fresh, client(1), strict, limit.Blocked); wait != 20*time.Minute {
		t.Errorf("the second block lasts %v, want 20m", wait)
	}
	// what is newer is not undone
	fresh.Restore(blocks)
	if wait := refuse(t, fresh, client(1), strict, limit.Blocked); wait != 20*time.Minute {
		t.Errorf("blocked for %v, want 20m as before", wait)
	}
}

func TestManyOffendersDoNotHideTheWorst(t *testing.T) {
	z, _ := newZone()
	p := strict
	p.MaxClients = 64 * 4 * 16 // 16 offenders in each of 64 shards
	for n := range 100_000 {
		answer(t, z, client(n), p, 401)
	}
	// all places are taken, yet who comes now is blocked for three errors
	for n := 200_000; n < 200_100; n++ {
		answer(t, z, client(n), p, 401)
		answer(t, z, client(n), p, 401)
		if !answer(t, z, client(n), p, 401) {
			t.Fatalf("client %d is not blocked for its third error", n)
		}
	}
}

func TestATableFullOfBlocksGivesNoneUp(t *testing.T) {
	z, clock := newZone()
	p := strict
	p.MaxClients = 64 * 4 * 16 // 16 blocks in each of 64 shards
	for n := range 100 {
		block(t, z, client(n), p)
	}
	for n := 100; n < 5000; n++ {
		for range 3 {
			answer(t, z, client(n), p, 401)
		}
	}
	for n := range 100 {
		refuse(t, z, client(n), p, limit.Blocked)
	}
	if n := z.BlocksInForce(); n != 64*16 {
		t.Errorf("%d blocks, want 1024", n)
	}
	// those that have ended make room
	clock.advance(10 * time.Minute)
	blocked := 0
	for n := 6000; n < 6050; n++ {
		answer(t, z, client(n), p, 401)
		answer(t, z, client(n), p, 401)
		if answer(t, z, client(n), p, 401) {
			blocked++
		}
	}
	if blocked != 50 {
		t.Errorf("%d of 50 are blocked when all other blocks have ended", blocked)
	}
}
