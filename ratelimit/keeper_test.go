package ratelimit

import (
	"context"
	"io/fs"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// shelf is a storage of which blocks need no more than this.
type shelf struct {
	certmagic.Storage
	mu     sync.Mutex
	files  map[string][]byte
	stored int
	broken error
	// stuck: it does not answer until this is closed.
	stuck chan struct{}
	slow  time.Duration
}

func (s *shelf) hang() {
	if s.stuck != nil {
		<-s.stuck
	}
	time.Sleep(s.slow)
}

// heal makes a broken shelf sound.
func (s *shelf) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = nil
}

func (s *shelf) Store(_ context.Context, key string, value []byte) error {
	s.hang()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored++
	if s.broken != nil {
		return s.broken
	}
	if s.files == nil {
		s.files = make(map[string][]byte)
	}
	s.files[key] = value
	return nil
}

func (s *shelf) Load(_ context.Context, key string) ([]byte, error) {
	s.hang()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, s.broken
	}
	if value, ok := s.files[key]; ok {
		return value, nil
	}
	return nil, fs.ErrNotExist
}

func (s *shelf) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored
}

// kept returns a zone whose blocks are kept on the shelf, and what its keeper logs.
func keptOn(t *testing.T, storage certmagic.Storage, name string) (*memory.Zone, *keeper, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	k := newKeeper(name, storage, zap.New(core))
	z := memory.New()
	k.start(z)
	return z, k, logs
}

func inForce(z *memory.Zone) []string {
	var names []string
	for _, b := range z.Blocks() {
		names = append(names, display(b.Client, 32, 64))
	}
	return names
}

func addressClient(address string) limit.Client {
	return limit.Client{Key: limit.AddressKey(address, 32, 64)}
}

func TestBlocksOutliveARestart(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var storage shelf
	z, k, _ := keptOn(t, &storage, "default")
	z.Block(addressClient("192.0.2.1"), time.Hour)
	for range 3 {
		z.Block(limit.Client{Key: limit.NameKey("mallory"), Name: "mallory"}, time.Hour)
	}
	k.stop()

	fresh, k, _ := keptOn(t, &storage, "default")
	defer k.stop()
	if got := inForce(fresh); len(got) != 2 {
		t.Fatalf("blocked after the restart: %v", got)
	}
	for _, b := range fresh.Blocks() {
		if left := time.Until(b.Until); left < 59*time.Minute || left > time.Hour || b.Cause != limit.ByHand {
			t.Errorf("the block is %+v", b)
		}
		if want := map[string]int{"mallory": 2}[b.Client.Name]; b.Repeats != want {
			t.Errorf("%q has been blocked %d times before, want %d", b.Client.Name, b.Repeats, want)
		}
	}
	if !fresh.Unblock(limit.NameKey("mallory")) {
		t.Error("the user's block is not to be found by its name")
	}
	other, k2, _ := keptOn(t, &storage, "other")
	defer k2.stop()
	if got := inForce(other); len(got) != 0 {
		t.Errorf("another zone has the blocks, too: %v", got)
	}
}

// A crash, too, frees nobody but those blocked in the last moment.
func TestBlocksAreWrittenWithoutAStop(t *testing.T) {
	var storage shelf
	z, k, _ := keptOn(t, &storage, "default")
	defer k.stop()
	for n, address := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		z.Block(addressClient(address), time.Hour)
		began := time.Now()
		until(t, "the block is written", func() bool {
			fresh, k, _ := keptOn(t, &storage, "default")
			defer k.stop()
			return len(inForce(fresh)) == n+1
		})
		if took := time.Since(began); took > time.Second {
			t.Errorf("block %d was written %v later, want within a second", n, took)
		}
	}
	z.Unblock(addressClient("192.0.2.2").Key)
	until(t, "the block is taken out", func() bool {
		fresh, k, _ := keptOn(t, &storage, "default")
		defer k.stop()
		return len(inForce(fresh)) == 2
	})
}

func TestNothingIsWrittenWhereNothingChanges(t *testing.T) {
	var storage shelf
	z, k, _ := keptOn(t, &storage, "default")
	z.Block(addressClient("192.0.2.1"), time.Hour)
	k.stop()
	before := storage.times()
	_, k, _ = keptOn(t, &storage, "default") // as `caddy validate` does
	k.stop()
	if storage.times() != before {
		t.Error("a configuration that is only looked at writes blocks")
	}
}

func TestAFloodOfBlocksIsWrittenAtARate(t *testing.T) {
	var storage shelf
	z, k, _ := keptOn(t, &storage, "default")
	for n := range 10_000 {
		z.Block(limit.Client{Key: limit.Key{1, byte(n >> 8), byte(n)}}, time.Hour)
	}
	k.stop()
	if n := storage.times(); n > 10 {
		t.Errorf("10000 blocks were written in %d goes", n)
	}
	fresh, k, _ := keptOn(t, &storage, "default")
	defer k.stop()
	if n := fresh.BlocksInForce(); n != 10_000 {
		t.Errorf("%d blocks after the restart", n)
	}
}

func TestWithoutAStorageBlocksLiveAsLongAsTheProcess(t *testing.T) {
	z, k, logs := keptOn(t, nil, "default")
	z.Block(addressClient("192.0.2.1"), time.Hour)
	k.stop()
	if logs.Len() != 0 {
		t.Errorf("logged: %v", logs.All())
	}
}

func TestBlocksMoveToTheStorageThatTakesOver(t *testing.T) {
	for name, stopAtOnce := range map[string]bool{"at once": false, "even if the gateway stops then": true} {
		t.Run(name, func(t *testing.T) {
			var old, fresh shelf
			z, k, _ := keptOn(t, &old, "default")
			z.Block(addressClient("192.0.2.1"), time.Hour)
			until(t, "the block is written", func() bool { return old.times() == 1 })
			k.use(&fresh, zap.NewNop())
			if !stopAtOnce {
				until(t, "the block is written to the new storage", func() bool { return fresh.times() == 1 })
			}
			k.stop()
			if old.times() != 1 || fresh.times() != 1 {
				t.Errorf("written %d times to the old storage, %d times to the new", old.times(), fresh.times())
			}
		})
	}
}

// restarted is which clients are blocked after a restart with that installation.
func restarted(t *testing.T, base caddy.Context) []string {
	t.Helper()
	ctx, end := caddy.NewContext(base)
	defer end()
	return inForce(load(t, ctx, usual).zone.Store.(*memory.Zone))
}

func TestAReloadWithAnotherStorageKeepsTheBlocks(t *testing.T) {
	one, other := installation(t), installation(t)
	old, endOld := caddy.NewContext(one)
	before := load(t, old, usual)
	before.zone.Block(addressClient("192.0.2.1"), time.Hour)
	fresh, endFresh := caddy.NewContext(other)
	load(t, fresh, usual)
	endOld()
	endFresh()
	if got := restarted(t, other); len(got) != 1 {
		t.Errorf("blocked after a reload and a restart: %v", got)
	}
}

func TestARejectedConfigurationsStorageIsNotUsed(t *testing.T) {
	one, other := installation(t), installation(t)
	ctx, end := caddy.NewContext(one)
	live := load(t, ctx, usual)
	rejected, endRejected := caddy.NewContext(other)
	load(t, rejected, usual)
	live.zone.Block(addressClient("192.0.2.1"), time.Hour)
	endRejected()
	end()
	if got := restarted(t, one); len(got) != 1 {
		t.Errorf("blocked after a restart: %v", got)
	}
	if got := restarted(t, other); len(got) != 0 {
		t.Errorf("the rejected configuration's storage has %v", got)
	}
}

func TestBlocksThatAreOverAreKnownAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := new(shelf)
		z, k, _ := keptOn(t, storage, "default")
		z.Block(addressClient("192.0.2.1"), time.Minute)
		z.Block(addressClient("192.0.2.2"), 3*time.Hour)
		k.stop()
		time.Sleep(2 * time.Hour) // while the gateway is off
		z, k, _ = keptOn(t, storage, "default")
		if n := z.BlocksInForce(); n != 1 {
			t.Errorf("%d blocks in force, want the one that is not over", n)
		}
		if b := z.Block(addressClient("192.0.2.1"), time.Minute); b.Repeats != 1 {
			t.Errorf("%d blocks before this one, want the one from before the restart", b.Repeats)
		}
		time.Sleep(time.Hour)
		if n := z.BlocksInForce(); n != 0 {
			t.Errorf("%d blocks in force, want the time that the gateway was off to count", n)
		}
		k.stop()
		time.Sleep(25 * time.Hour)
		z, k, _ = keptOn(t, storage, "default")
		if got := z.Blocks(); len(got) != 0 {
			t.Errorf("a day after they were over, blocks are known: %v", got)
		}
		k.stop()
	})
}

func TestZonesOfSimilarNamesHaveFilesOfTheirOwn(t *testing.T) {
	files := make(map[string]string)
	for _, zone := range []string{"default", "Default", "DEFAULT", "defAult", "a.b", "a-b", "a_b", ".", "..", "A", "a"} {
		file, err := (&keeper{zone: zone}).file()
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := files[strings.ToLower(file)]; taken {
			t.Errorf("%s and %s share %s", zone, other, file)
		}
		files[strings.ToLower(file)] = zone
		if path.Dir(file) != "ip_throttle" || file != strings.ToLower(file) {
			t.Errorf("%s is kept in %s", zone, file)
		}
	}
}

func TestAThrottleLeavesNoGoroutineBehind(t *testing.T) {
	ctx, end := configuration(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	throttle := load(t, ctx, usual)
	for range 3 {
		ask(throttle, "192.0.2.1", with(401))
	}
	end()
}
