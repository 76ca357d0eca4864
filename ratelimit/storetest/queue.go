package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

func queued(t *testing.T, s Subject) {
	p := limit.Policy{Interval: forever, Burst: 5, Concurrency: 1, Queue: 2, QueueWait: forever}
	held := s.pass(t, 1, p)
	d := s.Store.Admit(Client(2), &p)
	if d.Place == nil {
		t.Fatalf("no place to wait: %v", d.Reason)
	}
	if n := s.Store.Waiting(); n != 1 {
		t.Errorf("%d wait, want 1", n)
	}
	served := make(chan limit.Decision)
	go func() { served <- d.Place.Wait(context.Background()) }()
	held.Release(200)
	got := <-served
	if got.Ticket == nil {
		t.Fatalf("who waited is told %v", got.Reason)
	}
	if got.Quota.Remaining != 4 {
		t.Errorf("%+v, want one request of 5 taken", got.Quota)
	}
	got.Ticket.Release(200)
	s.pass(t, 3, p).Release(200)
}

func queueTimeout(t *testing.T, s Subject) {
	p := limit.Policy{Interval: forever, Burst: 1, Concurrency: 1, Queue: 2, QueueWait: 20 * time.Millisecond}
	held := s.pass(t, 1, p)
	d := s.Store.Admit(Client(2), &p)
	if d.Place == nil {
		t.Fatalf("no place to wait: %v", d.Reason)
	}
	if got := d.Place.Wait(context.Background()); got.Reason != limit.OverCapacity || got.Quota.Remaining != 1 {
		t.Fatalf("who waited too long is told %v, %+v", got.Reason, got.Quota)
	}
	held.Release(200)
	s.pass(t, 2, p).Release(200)
}

func queueBlocked(t *testing.T, s Subject) {
	p := limit.Policy{
		Burst: 1, Concurrency: 1, Queue: 2, QueueWait: forever,
		Penalty: 1, PenaltyTime: time.Hour, PenaltyStatus: []int{401},
	}
	held := s.pass(t, 1, p)
	d := s.Store.Admit(Client(1), &p)
	if d.Place == nil {
		t.Fatalf("no place to wait: %v", d.Reason)
	}
	if held.Release(401) == nil {
		t.Fatal("the error does not block")
	}
	if got := d.Place.Wait(context.Background()); got.Reason != limit.Blocked || got.RetryAfter <= 59*time.Minute {
		t.Fatalf("who was blocked is told %v, wait %v", got.Reason, got.RetryAfter)
	}
	s.pass(t, 2, p).Release(200) // the slot is free
}

func queueGone(t *testing.T, s Subject) {
	p := limit.Policy{Burst: 1, Concurrency: 1, Queue: 2, QueueWait: forever}
	held := s.pass(t, 1, p)
	d := s.Store.Admit(Client(2), &p)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := d.Place.Wait(ctx); got.Reason != limit.Gone {
		t.Fatalf("who left is told %v", got.Reason)
	}
	held.Release(200)
	s.pass(t, 3, p).Release(200)
}
