package memory

import (
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// keyed is the nth key, and a hash that many others have too, or nearly.
func keyed(n int) (key limit.Key, hash uint32) {
	key[0], key[15] = byte(n), byte(n>>8)
	return key, uint32(n%7+1) * (1<<32/8 - 1)
}

func newClients() *clients {
	c := new(clients)
	c.init()
	return c
}

// check compares the table with a plain map that has been through the same.
func check(t *testing.T, c *clients, want map[limit.Key]client, most int) {
	t.Helper()
	if got := maps.Collect(c.all()); !maps.Equal(got, want) || c.len != len(want) {
		t.Fatalf("there are %d clients (%d by its own count), want %d: %v, %v", len(got), c.len, len(want), got, want)
	}
	for n := range most {
		key, hash := keyed(n)
		expected, known := want[key]
		if got, found := c.get(key, hash); found != known || got != expected {
			t.Fatalf("client %d is %+v (known: %v), want %+v (%v)", n, got, found, expected, known)
		}
		if due, found := c.peek(key, hash); found != known || due != expected.nextDue {
			t.Fatalf("client %d owes %d without the lock (known: %v), want %d (%v)", n, due, found, expected.nextDue, known)
		}
	}
}

func TestClientsAreWhatAMapWouldBe(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const most = 600
	c, model := newClients(), make(map[limit.Key]client)
	for round := range 3000 {
		n := random.IntN(most)
		if round/500%2 == 1 {
			n %= 20 // so that the array shrinks
		}
		key, hash := keyed(n)
		value := client{int64(random.IntN(100)), int32(random.IntN(2))}
		switch s := c.find(key, hash); {
		case s == nil:
			c.add(key, hash, value)
			model[key] = value
		case random.IntN(2) == 0:
			s.set(value)
			model[key] = value
		}
		if random.IntN(20) == 0 || round/500%2 == 1 {
			forgettable := maps.Clone(model)
			maps.DeleteFunc(forgettable, func(_ limit.Key, c client) bool { return !c.forgettable(80) })
			forgotten := c.forget(80)
			left := maps.Collect(c.all())
			for key := range forgettable {
				if _, ok := left[key]; !ok {
					delete(model, key)
					forgotten--
				}
			}
			if forgotten != 0 {
				t.Fatalf("forget says that it forgot %d more than are gone", forgotten)
			}
		}
		if round%50 == 0 {
			check(t, c, model, most)
		}
	}
	check(t, c, model, most)
}

func TestEveryClientIsForgottenInTime(t *testing.T) {
	c := newClients()
	for n := range 5000 {
		key, hash := keyed(n)
		c.add(key, hash, client{nextDue: int64(n % 2)})
	}
	for range 2 * len(*c.slots.Load()) / looks {
		c.forget(0)
	}
	if c.len != 2500 {
		t.Errorf("%d clients are left, want the 2500 that owe something", c.len)
	}
	for range 2 * len(*c.slots.Load()) / looks {
		c.forget(1)
	}
	if slots := len(*c.slots.Load()); c.len != 0 || slots > smallTable {
		t.Errorf("%d clients are left in %d slots", c.len, slots)
	}
}

func TestNoClientHasTheHashOfAFreeSlot(t *testing.T) {
	for low := range uint32(2 * shards) {
		if shard, hash := spread(low); hash == 0 || shard != int(low%shards) {
			t.Errorf("hash %d becomes shard %d and hash %d", low, shard, hash)
		}
	}
}

func TestALiftedBlockCostsNobodyTheLock(t *testing.T) {
	z := New()
	who := limit.Client{Key: limit.AddressKey("192.0.2.1", 32, 64)}
	z.Admit(who, &limit.Policy{Interval: time.Hour, Burst: 1})
	s, hash := z.shard(who.Key)
	z.Block(who, time.Hour)
	if _, ok := s.peek(who.Key, hash); ok {
		t.Error("a client is read without the lock where there is a block")
	}
	z.Unblock(who.Key)
	if _, ok := s.peek(who.Key, hash); !ok {
		t.Error("the client is not read without the lock after its block was lifted")
	}
}

// Each client owes as much as its number here. Who reads without the lock, while others
// come and go around it, must not be told what another owes.
func TestNobodyIsTakenForAnotherWhoReadsWithoutTheLock(t *testing.T) {
	const all = 40
	c := newClients()
	var done atomic.Bool
	var told atomic.Int64
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for n := 0; !done.Load(); n = (n + 1) % all {
				key, hash := keyed(n)
				due, ok := c.peek(key, hash)
				if ok && due != int64(n) {
					t.Errorf("client %d owes %d", n, due)
					return
				}
				if ok {
					told.Add(1)
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for round := 0; round < 300_000 || told.Load() < 1000; round++ {
		key, hash := keyed(random.IntN(all))
		if s := c.find(key, hash); s == nil {
			number := int64(key[0])
			c.add(key, hash, client{nextDue: number})
			continue
		}
		slots := *c.slots.Load()
		for i := range slots {
			if keyOf(slots[i].key) == key && slots[i].hash != 0 {
				c.empty(i)
				break
			}
		}
	}
	done.Store(true)
	readers.Wait()
}
