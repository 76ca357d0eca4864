// Package firstuse tells what is used for the first time, such as a client's certificate,
// among all gateways that share a storage. It knows nothing of Caddy.
package firstuse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
)

// Storage is where it is remembered: Caddy's.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// Book remembers names: at most so many, in one value of the storage, a name a line and
// the one that came first at the top. When one more comes, the oldest is forgotten, and is
// new when it comes again. What one process has seen it also keeps in memory, so that the
// storage is asked but once for each.
type Book struct {
	key  string
	most int

	mu      sync.Mutex
	known   map[string]bool
	pending map[string]bool
	queue   []visit
	busy    bool
}

type visit struct {
	storage Storage
	name    string
	first   func()
	failed  func(error)
}

const (
	// mostPending bounds the names that wait for the storage.
	mostPending = 1000
	// patience bounds what is waited for the storage.
	patience = 5 * time.Second
)

// New returns a book that is kept under a key of the storage.
func New(key string, most int) *Book {
	return &Book{key: key, most: most, known: make(map[string]bool), pending: make(map[string]bool)}
}

// Visit has first called if the name has never been seen before. It does not wait for
// that: the storage may be slow. If the storage fails, failed is called, and then first if
// this process has not seen the name: better an alarm twice than none.
func (b *Book) Visit(storage Storage, name string, first func(), failed func(error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[name] || b.pending[name] || len(b.pending) >= mostPending {
		return
	}
	b.pending[name] = true
	b.queue = append(b.queue, visit{storage, name, first, failed})
	if !b.busy {
		b.busy = true
		go b.work()
	}
}

// work asks the storage for one name after the other, until there is none.
func (b *Book) work() {
	for {
		b.mu.Lock()
		if len(b.queue) == 0 {
			b.busy, b.queue = false, nil
			b.mu.Unlock()
			return
		}
		v := b.queue[0]
		b.queue = b.queue[1:]
		known := b.known[v.name] // by what was read for another
		b.mu.Unlock()

		isFirst := false
		if !known {
			var err error
			if isFirst, err = b.enter(v.storage, v.name); err != nil {
				v.failed(err)
				isFirst = true
			}
		}
		b.mu.Lock()
		b.remember(v.name)
		delete(b.pending, v.name)
		b.mu.Unlock()
		if isFirst {
			v.first()
		}
	}
}

// enter writes the name into the storage, if it is not there.
func (b *Book) enter(storage Storage, name string) (first bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if names, err := b.read(ctx, storage); err != nil || slices.Contains(names, name) {
		return false, err
	}
	if err := storage.Lock(ctx, b.key); err != nil {
		return false, fmt.Errorf("locking the storage: %w", err)
	}
	defer func() { err = errors.Join(err, storage.Unlock(context.WithoutCancel(ctx), b.key)) }()
	// another gateway may have been faster
	names, err := b.read(ctx, storage)
	if err != nil || slices.Contains(names, name) {
		return false, err
	}
	names = append(names, name)
	names = names[max(0, len(names)-b.most):]
	if err := storage.Store(ctx, b.key, []byte(strings.Join(names, "\n")+"\n")); err != nil {
		return false, fmt.Errorf("writing to the storage: %w", err)
	}
	return true, nil
}

// read returns the names in the storage, and remembers them all.
func (b *Book) read(ctx context.Context, storage Storage) ([]string, error) {
	text, err := storage.Load(ctx, b.key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading from the storage: %w", err)
	}
	names := strings.Fields(string(text))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		b.remember(name)
	}
	return names, nil
}

// remember keeps the name in memory. When there are too many, all are forgotten: the
// storage has them.
func (b *Book) remember(name string) {
	if len(b.known) >= b.most && !b.known[name] {
		clear(b.known)
	}
	b.known[name] = true
}
