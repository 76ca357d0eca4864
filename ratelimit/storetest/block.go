package storetest

import (
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

func penalty(errors int, length time.Duration) limit.Policy {
	return limit.Policy{Burst: 1, Penalty: errors, PenaltyTime: length, PenaltyStatus: []int{401, 403}}
}

func errorsInARow(t *testing.T, s Subject) {
	p := penalty(3, forever)
	for range 2 {
		if s.answer(t, 1, p, 401) != nil {
			t.Fatal("blocked too early")
		}
	}
	b := s.answer(t, 1, p, 403)
	if b == nil || b.Cause != limit.ErrorsInARow || b.Repeats != 0 || b.Until.Sub(b.Since) != forever || b.Client != Client(1) {
		t.Fatalf("the third error gives %+v", b)
	}
	if wait := s.refuse(t, 1, p, limit.Blocked).RetryAfter; wait > forever || wait < forever-time.Minute {
		t.Errorf("told to wait %v, want %v", wait, forever)
	}
	s.pass(t, 2, p).Release(200)
	if n := s.Store.BlocksInForce(); n != 1 {
		t.Errorf("%d blocks in force, want 1", n)
	}
}

func successEndsTheRow(t *testing.T, s Subject) {
	p := penalty(2, forever)
	for range 5 {
		if s.answer(t, 1, p, 401) != nil || s.answer(t, 1, p, 200) != nil {
			t.Fatal("blocked for errors that were not in a row")
		}
	}
}

func neutral(t *testing.T, s Subject) {
	p := penalty(1, forever)
	for _, status := range []int{0, 404, 429, 499, 500, 502, 503} {
		if s.answer(t, 1, p, status) != nil {
			t.Fatalf("blocked for %d", status)
		}
	}
	row := penalty(2, forever)
	s.answer(t, 2, row, 401)
	s.answer(t, 2, row, 503)
	if s.answer(t, 2, row, 401) == nil {
		t.Fatal("what is nobody's fault ended the row")
	}
}

func errorsInWindow(t *testing.T, s Subject) {
	p := limit.Policy{Burst: 1, Window: 3, WindowTime: forever, PenaltyTime: forever, PenaltyStatus: []int{401}}
	for range 2 {
		if s.answer(t, 1, p, 401) != nil || s.answer(t, 1, p, 200) != nil {
			t.Fatal("blocked too early")
		}
	}
	if b := s.answer(t, 1, p, 401); b == nil || b.Cause != limit.ErrorsInWindow {
		t.Fatalf("the third error within the window gives %+v", b)
	}
}

func oldErrors(t *testing.T, s Subject) {
	p := limit.Policy{
		Burst: 1, Penalty: 2, PenaltyTime: 80 * time.Millisecond,
		Window: 2, WindowTime: 80 * time.Millisecond, PenaltyStatus: []int{401},
	}
	for range 3 {
		if s.answer(t, 1, p, 401) != nil {
			t.Fatal("blocked for an error that was long ago")
		}
		s.Advance(90 * time.Millisecond)
	}
}

func doubling(t *testing.T, s Subject) {
	p := penalty(1, 50*time.Millisecond)
	length := p.PenaltyTime
	for repeats := range 3 {
		b := s.answer(t, 1, p, 401)
		if b == nil || b.Repeats != repeats || (b.Until.Sub(b.Since)-length).Abs() > time.Millisecond {
			t.Fatalf("block %d is %+v, want %v", repeats, b, length)
		}
		wait := s.refuse(t, 1, p, limit.Blocked).RetryAfter
		s.Advance(wait)
		length *= 2
	}
	s.pass(t, 1, p).Release(200)
}

func byHand(t *testing.T, s Subject) {
	p := limit.Policy{Burst: 1}
	who := limit.Client{Key: limit.NameKey("a user"), Name: "a user"}
	b := s.Store.Block(who, forever)
	if b.Cause != limit.ByHand || b.Client != who || b.Until.Sub(b.Since) != forever {
		t.Fatalf("blocked: %+v", b)
	}
	if d := s.Store.Admit(who, &p); d.Reason != limit.Blocked {
		t.Fatalf("a blocked client is told %v", d.Reason)
	}
	blocks := s.Store.Blocks()
	if len(blocks) != 1 || blocks[0].Client != who || blocks[0].Cause != limit.ByHand || blocks[0].Repeats != 0 {
		t.Fatalf("listed: %+v", blocks)
	}
	if !s.Store.Unblock(who.Key) || s.Store.Unblock(who.Key) {
		t.Fatal("a block is lifted once")
	}
	if d := s.Store.Admit(who, &p); d.Ticket == nil {
		t.Fatalf("after that the client is told %v", d.Reason)
	} else {
		d.Ticket.Release(200)
	}
	if blocks := s.Store.Blocks(); len(blocks) != 0 {
		t.Fatalf("listed after that: %+v", blocks)
	}
}

func blockAndRate(t *testing.T, s Subject) {
	p := limit.Policy{Interval: forever, Burst: 1, Penalty: 1, PenaltyTime: time.Minute, PenaltyStatus: []int{401}}
	s.answer(t, 1, p, 401)
	if wait := s.refuse(t, 1, p, limit.Blocked).RetryAfter; wait < forever-time.Minute {
		t.Errorf("told to wait %v, and would be over its rate then", wait)
	}
}
