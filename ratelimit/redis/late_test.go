package redis

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
)

// Requests that this gateway decides alone just as Redis comes back miss the merge. They
// are told by the next beat, not after the next outage.
func TestWhatMissesTheMergeIsToldByTheNextBeat(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{
		Addr: redistest.Start(t).Address, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
	})
	defer client.Close()
	z := New(Config{Client: client, Prefix: "test", Name: t.Name(), Timeout: time.Second, OnFailure: Local, Clock: time.Now})
	stopped := make(chan struct{})
	defer func() { <-stopped }()
	defer z.Stop(func() { close(stopped) })

	p := limit.Policy{Interval: time.Hour, Burst: 10, Concurrency: 1}
	who := limit.Client{Key: limit.NameKey("anna")}
	missed := z.Admit(who, &p).Ticket.(*ticket)
	z.leases.drop(missed.ended.lease)
	z.outage.endings.add(&missed.ended)
	z.outage.charges.take(who.Key, &p, time.Now(), z.local.Due(who.Key))

	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		d := z.Admit(limit.Client{Key: limit.NameKey("bert")}, &p)
		if d.Ticket != nil {
			d.Ticket.Release(200)
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v: the request that has ended still has its slot", d.Reason)
		}
	}
	if d := z.Admit(who, &p); d.Ticket == nil {
		t.Errorf("refused as %v", d.Reason)
	} else {
		d.Ticket.Release(200)
		if d.Quota.Remaining != 10-3 {
			t.Errorf("the client has %d requests left, want 7: one passed by Redis, one by this gateway alone, and this one", d.Quota.Remaining)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, known := z.outage.charges.due(who.Key); !known {
			return
		}
		if time.Now().After(end) {
			t.Fatal("a charge is kept, though Redis knows it")
		}
	}
}
