package redis_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
	"github.com/gateway18789/caddy-ollama/ratelimit/storetest"
)

// eventually waits for what happens in the background.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("in vain: %s", what)
}

func gateways(t *testing.T, server *redistest.Server, n int, change func(int, *redis.Config)) (all []*redis.Zone) {
	for i := range n {
		all = append(all, open(t, clientOf(t, server.Address), func(c *redis.Config) {
			c.Name = t.Name()
			if change != nil {
				change(i, c)
			}
		}))
	}
	return all
}

func TestGatewaysWithWrongClocksShareOneBudget(t *testing.T) {
	zones := gateways(t, redistest.Start(t), 3, func(i int, c *redis.Config) {
		skew := time.Duration(i-1) * 37 * time.Hour
		c.Clock = func() time.Time { return time.Now().Round(0).Add(skew) }
	})
	p := limit.Policy{Interval: time.Hour, Burst: 1000, Penalty: 1, PenaltyTime: time.Hour, PenaltyStatus: []int{401}}
	passed := 0
	for n := range 3000 {
		if d := zones[n%3].Admit(storetest.Client(n%2), &p); d.Ticket != nil {
			passed++
			d.Ticket.Release(200)
		}
	}
	if passed != 2000 {
		t.Errorf("%d passed, want twice the burst of 1000", passed)
	}
	d := zones[0].Admit(storetest.Client(5), &p)
	d.Ticket.Release(401)
	for i, z := range zones {
		d := z.Admit(storetest.Client(5), &p)
		if d.Reason != limit.Blocked || d.RetryAfter > time.Hour || d.RetryAfter < 59*time.Minute {
			t.Errorf("gateway %d says %v for %v, want blocked for an hour", i, d.Reason, d.RetryAfter)
		}
	}
}

// No request fails because Redis dies, and what was let pass meanwhile is charged.
func TestRedisDiesFiveTimes(t *testing.T) {
	server := redistest.Start(t)
	var downs, ups atomic.Int32
	zones := gateways(t, server, 3, func(_ int, c *redis.Config) {
		c.Timeout = 200 * time.Millisecond
		c.Down = func(error) { downs.Add(1) }
		c.Up = func(time.Duration) { ups.Add(1) }
	})
	const burst = 3000
	p := limit.Policy{Interval: time.Hour, Burst: burst}
	// all know that there are three
	time.Sleep(1200 * time.Millisecond)

	var sent, passed atomic.Int64
	var slowest, refusedInARow atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for c := range 3 {
		clients.Go(func() {
			for n := c; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				began := time.Now()
				d := zones[n%3].Admit(storetest.Client(1), &p)
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
				sent.Add(1)
				refusedInARow.Add(1)
				if d.Ticket != nil {
					refusedInARow.Store(0)
					passed.Add(1)
					d.Ticket.Release(200)
				} else if d.Reason != limit.RateLimited {
					t.Errorf("refused as %v", d.Reason)
				}
			}
		})
	}
	for range 5 {
		time.Sleep(300 * time.Millisecond) // Redis decides for a while
		server.Kill()
		time.Sleep(300 * time.Millisecond) // and each gateway alone
		server.Restart()
		eventually(t, "all gateways are back", func() bool { return !zones[0].Down() && !zones[1].Down() && !zones[2].Down() })
	}
	// and until the budget is spent
	eventually(t, "the budget is spent", func() bool { return refusedInARow.Load() > 100 })
	close(stop)
	clients.Wait()
	t.Logf("%d sent, %d passed, oracle %d, slowest decision %v, %d times down, %d up",
		sent.Load(), passed.Load(), burst, time.Duration(slowest.Load()), downs.Load(), ups.Load())
	// One whose answer is lost with Redis, or who is let pass alone just as it comes back,
	// may be charged twice.
	if n := passed.Load(); n < burst-burst/100 || n > burst+burst/3 {
		t.Errorf("%d passed, want the budget of %d, or up to one gateway's share more", n, burst)
	}
	if downs.Load() < 5 || ups.Load() != downs.Load() {
		t.Errorf("told %d times that it is down, %d times that it is up", downs.Load(), ups.Load())
	}
}

func TestBlocksOutliveARedisThatForgets(t *testing.T) {
	server := redistest.Start(t)
	zones := gateways(t, server, 2, nil)
	p := limit.Policy{Burst: 1}
	zones[0].Block(storetest.Client(1), time.Hour)
	eventually(t, "the other gateway knows of the block", func() bool { return zones[1].BlocksInForce() == 1 })
	server.Kill()
	for i, z := range zones {
		if d := z.Admit(storetest.Client(1), &p); d.Reason != limit.Blocked {
			t.Errorf("without Redis, gateway %d says %v", i, d.Reason)
		}
	}
	zones[0].Block(storetest.Client(2), time.Hour)
	zones[1].Unblock(storetest.Client(1).Key)
	server.Restart()
	eventually(t, "both are back", func() bool { return !zones[0].Down() && !zones[1].Down() })
	eventually(t, "the block from the outage is everywhere", func() bool {
		return zones[1].Admit(storetest.Client(2), &p).Reason == limit.Blocked
	})
}

func TestALeaseLapsesOnlyWhenItsGatewayIsDead(t *testing.T) {
	server := redistest.Start(t)
	short := func(_ int, c *redis.Config) { c.Lease = 1200 * time.Millisecond }
	zones := gateways(t, server, 2, short)
	p := limit.Policy{Burst: 1, Concurrency: 1}
	held := zones[0].Admit(storetest.Client(1), &p)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if d := zones[1].Admit(storetest.Client(2), &p); d.Reason != limit.OverCapacity {
			t.Fatalf("the other gateway says %v while the stream goes on", d.Reason)
		}
	}
	held.Ticket.Release(200)
	d := zones[1].Admit(storetest.Client(2), &p)
	if d.Ticket == nil {
		t.Fatalf("after the stream: %v", d.Reason)
	}
	d.Ticket.Release(200)
}

func TestASlotSetFreeElsewhereServesWhoWaits(t *testing.T) {
	zones := gateways(t, redistest.Start(t), 2, nil)
	p := limit.Policy{Burst: 1, Concurrency: 1, Queue: 5, QueueWait: 10 * time.Second}
	held := zones[0].Admit(storetest.Client(1), &p)
	waiting := zones[1].Admit(storetest.Client(2), &p)
	if waiting.Place == nil {
		t.Fatal("no place to wait")
	}
	held.Ticket.Release(200)
	began := time.Now()
	d := waiting.Place.Wait(t.Context())
	if d.Ticket == nil || time.Since(began) > time.Second {
		t.Fatalf("served: %v, after %v", d.Ticket != nil, time.Since(began))
	}
	d.Ticket.Release(200)
}

func TestOnFailure(t *testing.T) {
	for _, test := range []struct {
		on   redis.OnFailure
		want []limit.Reason
	}{
		{redis.Local, []limit.Reason{0, limit.RateLimited}},
		{redis.Refuse, []limit.Reason{limit.Unavailable, limit.Unavailable}},
		{redis.Allow, []limit.Reason{0, 0}},
	} {
		t.Run(string(test.on), func(t *testing.T) {
			z := open(t, clientOf(t, "127.0.0.1:1"), func(c *redis.Config) { c.OnFailure = test.on })
			p := limit.Policy{Interval: time.Hour, Burst: 1, Concurrency: 1}
			z.Block(storetest.Client(9), time.Hour)
			for i, want := range test.want {
				d := z.Admit(storetest.Client(1), &p)
				if d.Reason != want {
					t.Errorf("request %d: %v, want %v", i, d.Reason, want)
				}
				if d.Ticket != nil {
					d.Ticket.Release(200)
				}
			}
			if d := z.Admit(storetest.Client(9), &p); d.Ticket != nil {
				t.Error("a blocked client passes")
				d.Ticket.Release(0)
			}
		})
	}
}

func TestWhatAClientCosts(t *testing.T) {
	server := redistest.Start(t)
	z := open(t, clientOf(t, server.Address), nil)
	client := server.Client()
	defer client.Close()
	p := limit.Policy{Interval: time.Hour, Burst: 1}
	z.Admit(storetest.Client(0), &p).Ticket.Release(200)
	const n = 5000
	before := redistest.MemoryUsed(t, client)
	for i := range n {
		if d := z.Admit(storetest.Client(i+1), &p); d.Ticket != nil {
			d.Ticket.Release(200)
		}
	}
	each := (redistest.MemoryUsed(t, client) - before) / n
	t.Logf("%d bytes of Redis for each client", each)
	if each > 250 {
		t.Errorf("a client costs %d bytes, want 250 at most", each)
	}
	before = redistest.MemoryUsed(t, client)
	for i := range n {
		z.Block(storetest.Client(i+1), time.Hour)
	}
	each = (redistest.MemoryUsed(t, client) - before) / n
	t.Logf("%d bytes of Redis for each block", each)
	if each > 400 {
		t.Errorf("a block costs %d bytes, want 400 at most", each)
	}
}
