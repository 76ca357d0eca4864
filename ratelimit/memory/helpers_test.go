package memory_test

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// clock is a time that passes only when told. Besides, people may set it.
type clock struct{ elapsed, set atomic.Int64 }

func (c *clock) since() time.Duration { return time.Duration(c.elapsed.Load()) }

func (c *clock) now() time.Time {
	return time.Unix(1_700_000_000, c.elapsed.Load()+c.set.Load())
}

func (c *clock) advance(d time.Duration) { c.elapsed.Add(int64(d)) }

func newZone() (*memory.Zone, *clock) {
	c := new(clock)
	return memory.NewZone(c.since, c.now), c
}

// client is the key of the nth client.
func client(n int) (key limit.Key) {
	binary.BigEndian.PutUint64(key[:], uint64(n))
	return key
}

// try lets the client send one request, and returns its ticket or its refusal.
func try(z *memory.Zone, key limit.Key, p limit.Policy) (limit.Ticket, *limit.Decision) {
	d := z.Admit(limit.Client{Key: key}, &p)
	if d.Ticket == nil {
		return nil, &d
	}
	return d.Ticket, nil
}

// admit expects the request to pass.
func admit(t *testing.T, z *memory.Zone, key limit.Key, p limit.Policy) limit.Ticket {
	t.Helper()
	ticket, refusal := try(z, key, p)
	if refusal != nil {
		t.Fatalf("refused (%v, retry after %v), want it admitted", refusal.Reason, refusal.RetryAfter)
	}
	return ticket
}

// refuse expects the request to be refused for the given reason.
func refuse(t *testing.T, z *memory.Zone, key limit.Key, p limit.Policy, reason limit.Reason) time.Duration {
	t.Helper()
	ticket, refusal := try(z, key, p)
	if refusal == nil {
		ticket.Release(0)
		t.Fatalf("admitted, want it refused: %v", reason)
	}
	if refusal.Reason != reason {
		t.Fatalf("refused as %v, want %v", refusal.Reason, reason)
	}
	return refusal.RetryAfter
}

// answer lets one request of the client pass, ends it with status and reports
// whether the client is blocked for it.
func answer(t *testing.T, z *memory.Zone, key limit.Key, p limit.Policy, status int) (blocked bool) {
	t.Helper()
	return admit(t, z, key, p).Release(status) != nil
}
