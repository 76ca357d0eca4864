package firstuse_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gateway18789/caddy-ollama/auditlog/firstuse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a storage in memory.
type shelf struct {
	lock chan struct{} // what users lock; a bubble's time goes on while they wait for it

	mu    sync.Mutex
	value []byte
	fails error
	slow  time.Duration
	asked int
}

func (s *shelf) Load(context.Context, string) ([]byte, error) {
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.fails != nil {
		return nil, s.fails
	}
	if s.value == nil {
		return nil, fs.ErrNotExist
	}
	return s.value, nil
}

func (s *shelf) Store(_ context.Context, _ string, value []byte) error {
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = slices.Clone(value)
	return s.fails
}

func (s *shelf) Lock(context.Context, string) error   { s.lock <- struct{}{}; return nil }
func (s *shelf) Unlock(context.Context, string) error { <-s.lock; return nil }

// newShelf is made within the bubble.
func newShelf() *shelf { return &shelf{lock: make(chan struct{}, 1)} }

// seen is what a book has told.
type seen struct {
	mu     sync.Mutex
	first  []string
	failed int
}

func (s *seen) visit(b *firstuse.Book, storage firstuse.Storage, name string) {
	b.Visit(storage, name, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.first = append(s.first, name)
	}, func(error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed++
	})
}

func (s *seen) expect(t *testing.T, first ...string) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.first, first) {
		t.Errorf("new were %q, want %q", s.first, first)
	}
}

func TestANameIsNewOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, told := newShelf(), new(seen)
		book := firstuse.New("k", 10)
		for range 3 {
			told.visit(book, storage, "A")
			told.visit(book, storage, "B")
		}
		told.expect(t, "A", "B")
		asked := storage.asked
		told.visit(book, storage, "A")
		told.expect(t, "A", "B")
		if storage.asked != asked {
			t.Error("the storage was asked for what is known")
		}
		told.visit(firstuse.New("k", 10), storage, "A") // after a restart
		told.expect(t, "A", "B")
	})
}

func TestGatewaysThatShareAStorageAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, told := newShelf(), new(seen)
		storage.slow = time.Second // so that all read before the first writes
		var all sync.WaitGroup
		for range 8 {
			book := firstuse.New("k", 1000)
			for n := range 50 {
				all.Go(func() { told.visit(book, storage, fmt.Sprint(n)) })
			}
		}
		all.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		slices.Sort(told.first)
		if len(told.first) != 50 || len(slices.Compact(told.first)) != 50 || told.failed != 0 {
			t.Errorf("50 names were new %d times, with %d failures", len(told.first), told.failed)
		}
		if lines := strings.Count(string(storage.value), "\n"); lines != 50 {
			t.Errorf("%d are stored", lines)
		}
	})
}

func TestOnlySoManyAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, told := newShelf(), new(seen)
		book := firstuse.New("k", 3)
		for n := range 500 {
			told.visit(book, storage, fmt.Sprint(n))
			synctest.Wait()
		}
		if got := string(storage.value); got != "497\n498\n499\n" {
			t.Errorf("%q are stored", got)
		}
		told.first = nil
		told.visit(book, storage, "498")
		told.visit(book, storage, "7")
		told.expect(t, "7")
	})
}

func TestAStorageThatFailsHidesNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, told := newShelf(), new(seen)
		storage.fails = errors.New("broken")
		book := firstuse.New("k", 10)
		for range 3 {
			told.visit(book, storage, "A")
			synctest.Wait()
		}
		told.expect(t, "A")
		if told.failed != 1 {
			t.Errorf("%d failures are told", told.failed)
		}
		storage.fails = nil
		told.visit(book, storage, "B")
		told.expect(t, "A", "B")
	})
}

// Nobody waits for the storage, and what waits for it is bounded.
func TestASlowStorageKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, told := newShelf(), new(seen)
		storage.slow = time.Second
		book := firstuse.New("k", 10_000)
		began := time.Now()
		for n := range 5000 {
			told.visit(book, storage, fmt.Sprint(n))
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the requests waited %v", waited)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := len(told.first); n < 1000 || n > 1001 {
			t.Errorf("%d were kept waiting", n)
		}
	})
}

func TestWhatIsNotOursInTheStorageIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, told := newShelf(), new(seen)
		storage.value = []byte("X\r\n\n  A")
		book := firstuse.New("k", 10)
		told.visit(book, storage, "A")
		told.visit(book, storage, "B")
		told.expect(t, "B")
		if got := string(storage.value); got != "X\nA\nB\n" {
			t.Errorf("%q is stored", got)
		}
	})
}
