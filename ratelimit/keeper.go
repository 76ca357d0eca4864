package ratelimit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// keeper keeps a zone's blocks in Caddy's storage, so that a restart frees nobody.
type keeper struct {
	zone string

	mu      sync.Mutex
	storage certmagic.Storage // that of the configuration in force; nil: none
	logger  *zap.Logger       // likewise

	// restored: the blocks from before the restart have been brought back, or there is
	// no hope of that. What is not known must not be written over.
	restored bool
	moved    chan struct{} // sent to when there is another storage, which knows nothing yet
	busy     chan struct{} // is full as long as the storage is at work
	stopped  chan struct{}
	done     chan struct{}
}

const (
	// keepEvery bounds how often blocks are written, and so what a crash loses.
	keepEvery = 500 * time.Millisecond
	// keepAgain is when a storage that failed is tried again.
	keepAgain = 10 * time.Second
	// storageTimeout is how long a storage may take: it may be across a network.
	storageTimeout = 5 * time.Second
)

func newKeeper(zone string, storage certmagic.Storage, logger *zap.Logger) *keeper {
	return &keeper{
		zone: zone, storage: storage, logger: logger,
		moved: make(chan struct{}, 1), busy: make(chan struct{}, 1),
		stopped: make(chan struct{}), done: make(chan struct{}),
	}
}

// use says which storage is in force now.
func (k *keeper) use(storage certmagic.Storage, logger *zap.Logger) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.storage, k.logger = storage, logger
	select {
	case k.moved <- struct{}{}:
	default: // it has not been heard yet
	}
}

func (k *keeper) current() (certmagic.Storage, *zap.Logger) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.storage, k.logger
}

// start brings the blocks back that were kept, and keeps them from now on.
func (k *keeper) start(z *memory.Zone) {
	k.restore(z)
	go k.run(z)
}

func (k *keeper) run(z *memory.Zone) {
	defer close(k.done)
	kept := k.restored
	for {
		var again <-chan time.Time
		if !kept {
			again = time.After(keepAgain)
		}
		select {
		case <-z.BlocksChanged():
		case <-k.moved:
		case <-again:
		case <-k.stopped:
			select {
			case <-z.BlocksChanged():
				kept = false
			case <-k.moved:
				kept = false
			default:
			}
			if !kept {
				k.keep(z)
			}
			return
		}
		since := time.Now()
		kept = k.keep(z)
		// in a flood of blocks, when writing all of them takes long, it is not done all the time
		pause := time.NewTimer(min(max(keepEvery, 4*time.Since(since)), keepAgain))
		select {
		case <-pause.C:
		case <-k.stopped:
		}
		pause.Stop()
	}
}

// stop returns when all is written, or cannot be.
func (k *keeper) stop() {
	close(k.stopped)
	<-k.done
}

// restore brings the blocks back that were kept, if that has not been done.
func (k *keeper) restore(z *memory.Zone) {
	if k.restored {
		return
	}
	blocks, err := k.read()
	if err != nil {
		storeErrorsTotal.WithLabelValues(k.zone).Inc()
		_, logger := k.current()
		logger.Error("blocks from before the restart cannot be read; those clients are free meanwhile", zap.Error(err))
	}
	z.Restore(blocks)
	k.restored = err == nil || errors.Is(err, errNoBlocks)
}

// keep writes the zone's blocks down, and reports whether they are.
func (k *keeper) keep(z *memory.Zone) bool {
	if k.restore(z); !k.restored {
		return false
	}
	if err := k.write(z.Blocks()); err != nil {
		storeErrorsTotal.WithLabelValues(k.zone).Inc()
		_, logger := k.current()
		logger.Error("blocks cannot be kept; a restart would free those who are blocked", zap.Error(err))
		return false
	}
	return true
}

// kept is a block as it is written down.
type kept struct {
	Key     []byte      `json:"key"`
	Name    string      `json:"name,omitempty"`
	Since   time.Time   `json:"since"`
	Until   time.Time   `json:"until"`
	Cause   limit.Cause `json:"cause"`
	Repeats int         `json:"repeats,omitempty"`
}

// file is where this gateway's blocks are: gateways may share a storage.
func (k *keeper) file() (string, error) {
	instance, err := caddy.InstanceID()
	if err != nil {
		return "", err
	}
	return path.Join("ip_throttle", fileName(k.zone)+"."+instance.String()+".json"), nil
}

// fileName is a name for a zone's file. As some file systems do not distinguish A from
// a, it is !a, as in Go's module cache.
func fileName(zone string) string {
	var name strings.Builder
	for _, c := range zone {
		if unicode.IsUpper(c) {
			name.WriteByte('!')
		}
		name.WriteRune(unicode.ToLower(c))
	}
	return name.String()
}

// read returns the blocks that were kept. The error is errNoBlocks if trying again
// is of no use.
func (k *keeper) read() (blocks []limit.Block, err error) {
	err = k.inTime(func(ctx context.Context, storage certmagic.Storage, file string) error {
		text, err := storage.Load(ctx, file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			blocks, err = readBlocks(text)
		}
		return err
	})
	return blocks, err
}

func (k *keeper) write(blocks []limit.Block) error {
	text, err := writeBlocks(blocks)
	if err != nil {
		return err
	}
	return k.inTime(func(ctx context.Context, storage certmagic.Storage, file string) error {
		return storage.Store(ctx, file, text)
	})
}

// inTime lets the storage do something, one thing at a time. It returns in time
// even if the storage does not, as that of a network file system.
func (k *keeper) inTime(do func(ctx context.Context, storage certmagic.Storage, file string) error) error {
	storage, _ := k.current()
	if storage == nil {
		return nil
	}
	file, err := k.file()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	select {
	case k.busy <- struct{}{}:
	case <-ctx.Done():
		return errors.New("the storage has not answered for a while")
	}
	failed := make(chan error, 1)
	go func() {
		err := do(ctx, storage, file)
		<-k.busy
		failed <- err
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the storage has not answered within %s", storageTimeout)
	}
}

// errNoBlocks is that what is kept are no blocks.
var errNoBlocks = errors.New("these are no blocks")

func readBlocks(text []byte) ([]limit.Block, error) {
	var all []kept
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoBlocks, err)
	}
	var blocks []limit.Block
	for _, b := range all {
		if len(b.Key) != len(limit.Key{}) {
			return nil, fmt.Errorf("%w: one names no client", errNoBlocks)
		}
		blocks = append(blocks, limit.Block{
			Client: limit.Client{Key: limit.Key(b.Key), Name: b.Name},
			Since:  b.Since, Until: b.Until, Cause: b.Cause, Repeats: b.Repeats,
		})
	}
	return blocks, nil
}

func writeBlocks(blocks []limit.Block) ([]byte, error) {
	all := []kept{}
	for _, b := range blocks {
		all = append(all, kept{
			Key: b.Client.Key[:], Name: b.Client.Name,
			Since: b.Since.UTC(), Until: b.Until.UTC(), Cause: b.Cause, Repeats: b.Repeats,
		})
	}
	return json.Marshal(all)
}
