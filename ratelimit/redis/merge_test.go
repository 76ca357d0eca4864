package redis_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
	"github.com/gateway18789/caddy-ollama/ratelimit/storetest"
)

// wire stands between a gateway and Redis, and can cut what goes over it.
type wire struct {
	mu sync.Mutex
	// before and after are called before a command is sent and after it has been answered.
	before, after func(ctx context.Context, keys int) error
}

func (w *wire) set(before, after func(ctx context.Context, keys int) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after = before, after
}

func (w *wire) get() (before, after func(ctx context.Context, keys int) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.before, w.after
}

// DialHook implements goredis.Hook.
func (*wire) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return next(ctx, network, address)
	}
}

// ProcessPipelineHook implements goredis.Hook.
func (*wire) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// ProcessHook implements goredis.Hook.
func (w *wire) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, command goredis.Cmder) error {
		keys := 0 // of a script
		if arguments := command.Args(); len(arguments) > 2 {
			keys, _ = arguments[2].(int)
		}
		before, after := w.get()
		if before != nil {
			if err := before(ctx, keys); err != nil {
				command.SetErr(err)
				return err
			}
		}
		err := next(ctx, command)
		if after != nil && err == nil {
			if err = after(ctx, keys); err != nil {
				command.SetErr(err)
			}
		}
		return err
	}
}

// The scripts, by how many keys they have.
const (
	chargeKeys  = 2
	releaseKeys = 6 // and admissions
)

var errCut = errors.New("the wire is cut")

func cut(context.Context, int) error { return errCut }

// wired is a gateway whose wire to Redis can be cut.
func wired(t *testing.T, server *redistest.Server, change func(*redis.Config)) (*redis.Zone, *wire) {
	t.Helper()
	w := new(wire)
	client := clientOf(t, server.Address)
	client.AddHook(w)
	return open(t, client, func(c *redis.Config) {
		c.Name = t.Name()
		if change != nil {
			change(c)
		}
	}), w
}

// oneOf cuts the nth script with so many keys, and no other.
func oneOf(keys, n int) func(context.Context, int) error {
	var seen atomic.Int32
	return func(_ context.Context, k int) error {
		if k == keys && seen.Add(1) == int32(n) {
			return errCut
		}
		return nil
	}
}

// A merge that fails halfway is made up for by the next: no slot stays taken.
func TestEndingsThatWereNotToldAreToldTheNextTime(t *testing.T) {
	server := redistest.Start(t)
	z, w := wired(t, server, nil)
	other, _ := wired(t, server, nil)
	p := limit.Policy{Burst: 1, Concurrency: 5, Penalty: 4, PenaltyTime: time.Hour, PenaltyStatus: []int{401}}
	var held []limit.Ticket
	for range 5 {
		held = append(held, z.Admit(storetest.Client(1), &p).Ticket)
	}
	w.set(cut, nil)
	for i, ticket := range held {
		ticket.Release([]int{200, 500, 500, 401, 401}[i])
	}
	if !z.Down() {
		t.Fatal("Redis is not down")
	}
	w.set(oneOf(releaseKeys, 3), nil)
	eventually(t, "it is back", func() bool { return !z.Down() })
	for n := range 5 {
		d := other.Admit(storetest.Client(2), &p)
		if d.Ticket == nil {
			t.Fatalf("request %d: %v, though nothing else is in flight", n, d.Reason)
		}
		defer d.Ticket.Release(0)
	}
}

// Whatever the merge is cut by, what a client took from a gateway that was alone is
// charged once.
func TestChargesAreToldOnce(t *testing.T) {
	for _, test := range []struct {
		name          string
		before, after func(context.Context, int) error
	}{
		{"nothing is cut", nil, nil},
		{"Redis never heard of the charges", oneOf(chargeKeys, 1), nil},
		{"Redis was not heard to answer", nil, oneOf(chargeKeys, 1)},
		{"both", oneOf(chargeKeys, 2), oneOf(chargeKeys, 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := redistest.Start(t)
			z, w := wired(t, server, nil)
			other, _ := wired(t, server, nil)
			p := limit.Policy{Interval: time.Hour, Burst: 20, Gateways: 2}
			take := func(z *redis.Zone, n int) {
				t.Helper()
				for range n {
					d := z.Admit(storetest.Client(1), &p)
					if d.Ticket == nil {
						t.Fatalf("refused as %v", d.Reason)
					}
					d.Ticket.Release(200)
				}
			}
			take(z, 1)
			w.set(cut, nil)
			take(z, 6)
			take(other, 3)
			w.set(test.before, test.after)
			eventually(t, "it is back", func() bool { return !z.Down() })
			take(other, 4)
			take(z, 20-1-6-3-4)
			for i, z := range []*redis.Zone{z, other} {
				if d := z.Admit(storetest.Client(1), &p); d.Ticket != nil {
					t.Errorf("gateway %d lets a 21st request pass of a budget of 20", i)
				}
			}
		})
	}
}

// A request waits for Redis no longer than its timeout, however often it asks, and that
// alone does not make Redis lost.
func TestARequestWaitsForRedisOnce(t *testing.T) {
	const timeout = time.Second
	blocked := make(chan limit.Block, 1)
	z, w := wired(t, redistest.Start(t), func(c *redis.Config) {
		c.Timeout = timeout
		c.Blocked = func(b limit.Block) { blocked <- b }
	})
	p := limit.Policy{Burst: 1, Penalty: 1, PenaltyTime: time.Hour, PenaltyStatus: []int{401}}
	eventually(t, "it is connected", func() bool {
		d := z.Admit(storetest.Client(0), &p)
		d.Ticket.Release(200)
		return !z.Down()
	})
	w.set(func(context.Context, int) error {
		time.Sleep(3 * timeout / 4) // a slow wire
		return nil
	}, nil)
	began := time.Now()
	d := z.Admit(storetest.Client(1), &p)
	if block := d.Ticket.Release(401); block != nil {
		t.Error("the block came in time, so that this test shows nothing")
	}
	if took := time.Since(began); took > timeout+timeout/4 {
		t.Errorf("a request has waited %v for Redis, want %v at most", took, timeout)
	}
	select {
	case b := <-blocked:
		if b.Client != storetest.Client(1) || b.Cause != limit.ErrorsInARow {
			t.Errorf("blocked: %+v", b)
		}
	case <-time.After(5 * time.Second):
		t.Error("nobody is told of the block")
	}
	w.set(nil, nil)
	if z.Down() {
		t.Error("Redis is taken for lost, though each answer came in time")
	}
	if d := z.Admit(storetest.Client(1), &p); d.Reason != limit.Blocked {
		t.Errorf("%v, want blocked", d.Reason)
	}
}

// A gateway that was cut off for a while knows less than Redis.
func TestAGatewayThatComesBackPaysNobodysDebts(t *testing.T) {
	server := redistest.Start(t)
	z, w := wired(t, server, nil)
	other, _ := wired(t, server, nil)
	p := limit.Policy{Interval: time.Hour, Burst: 10}
	take := func(z *redis.Zone, n int) (passed int) {
		for range n {
			if d := z.Admit(storetest.Client(1), &p); d.Ticket != nil {
				d.Ticket.Release(200)
				passed++
			}
		}
		return passed
	}
	take(z, 1)
	w.set(cut, nil)
	eventually(t, "it has noticed", z.Down)
	if n := take(other, 8); n != 8 {
		t.Fatalf("%d passed, want 8", n)
	}
	w.set(nil, nil)
	eventually(t, "it is back", func() bool { return !z.Down() })
	if n := take(other, 5) + take(z, 5); n != 1 {
		t.Errorf("%d passed after 9 of a budget of 10", n)
	}
}
