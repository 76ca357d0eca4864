package ratelimit

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

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
}

func (s *shelf) Store(_ context.Context, key string, value []byte) error {
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
	k := &keeper{
		zone: name, logger: zap.New(core), storage: storage,
		stopped: make(chan struct{}), done: make(chan struct{}),
	}
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
	z.Block(limit.Client{Key: limit.NameKey("mallory"), Name: "mallory"}, time.Hour)
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

func TestAStorageThatFails(t *testing.T) {
	for _, test := range []struct {
		name    string
		storage *shelf
	}{
		{"cannot be read or written", &shelf{broken: errors.New("broken")}},
		{"holds no blocks but garbage", nil},
		{"holds blocks of nobody", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			storage := test.storage
			if storage == nil {
				storage = new(shelf)
				file, err := (&keeper{zone: "default"}).file()
				if err != nil {
					t.Fatal(err)
				}
				text := map[string]string{"holds no blocks but garbage": `{"a":`, "holds blocks of nobody": `[{"key":"AAAA"}]`}[test.name]
				_ = storage.Store(t.Context(), file, []byte(text))
			}
			z, k, logs := keptOn(t, storage, "default")
			if logs.Len() != 1 {
				t.Errorf("%d log lines tell of it", logs.Len())
			}
			z.Block(addressClient("192.0.2.1"), time.Hour)
			k.stop()
			if got := inForce(z); len(got) != 1 {
				t.Errorf("blocked: %v, want the client blocked all the same", got)
			}
			if want := map[bool]int{true: 2, false: 1}[storage.broken != nil]; logs.Len() != want {
				t.Errorf("%d log lines, want %d: %v", logs.Len(), want, logs.All())
			}
		})
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

func TestTheStorageOfTheNewestConfigurationIsUsed(t *testing.T) {
	var old, fresh shelf
	z, k, _ := keptOn(t, &old, "default")
	k.use(&fresh)
	z.Block(addressClient("192.0.2.1"), time.Hour)
	k.stop()
	if old.times() != 0 || fresh.times() != 1 {
		t.Errorf("written %d times to the old storage, %d times to the new", old.times(), fresh.times())
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
