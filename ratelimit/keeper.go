package ratelimit

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// keeper keeps a zone's blocks in Caddy's storage, so that a restart frees nobody.
type keeper struct {
	zone   string
	logger *zap.Logger

	mu      sync.Mutex
	storage certmagic.Storage // that of the configuration in force; nil: none

	stopped chan struct{}
	done    chan struct{}
}

const (
	// keepEvery bounds how often blocks are written, and so what a crash loses.
	keepEvery = 500 * time.Millisecond
	// storageTimeout is how long a storage may take: it may be across a network.
	storageTimeout = 5 * time.Second
)

func keeperOf(ctx caddy.Context, zone string, logger *zap.Logger) *keeper {
	return &keeper{
		zone: zone, logger: logger, storage: ctx.Storage(),
		stopped: make(chan struct{}), done: make(chan struct{}),
	}
}

// use says which storage is in force.
func (k *keeper) use(storage certmagic.Storage) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.storage = storage
}

func (k *keeper) current() certmagic.Storage {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.storage
}

// start brings the blocks back that were kept, and keeps them from now on.
func (k *keeper) start(z *memory.Zone) {
	if blocks, err := k.read(); err != nil {
		storeErrorsTotal.WithLabelValues(k.zone).Inc()
		k.logger.Error("blocks from before the restart cannot be read; going on without them", zap.Error(err))
	} else {
		z.Restore(blocks)
	}
	go k.run(z)
}

func (k *keeper) run(z *memory.Zone) {
	defer close(k.done)
	for {
		select {
		case <-z.BlocksChanged():
			k.write(z.Blocks())
		case <-k.stopped:
			select {
			case <-z.BlocksChanged():
				k.write(z.Blocks())
			default:
			}
			return
		}
		pause := time.NewTimer(keepEvery)
		select {
		case <-pause.C:
		case <-k.stopped:
		}
		pause.Stop()
	}
}

// stop returns when all is written.
func (k *keeper) stop() {
	close(k.stopped)
	<-k.done
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
	return path.Join("ip_throttle", k.zone+"."+instance.String()+".json"), nil
}

func (k *keeper) read() ([]limit.Block, error) {
	storage := k.current()
	if storage == nil {
		return nil, nil
	}
	file, err := k.file()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	text, err := storage.Load(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return readBlocks(text)
}

func readBlocks(text []byte) ([]limit.Block, error) {
	var all []kept
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	var blocks []limit.Block
	for _, b := range all {
		if len(b.Key) != len(limit.Key{}) {
			return nil, errors.New("a block names no client")
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

func (k *keeper) write(blocks []limit.Block) {
	if err := k.tryWrite(blocks); err != nil {
		storeErrorsTotal.WithLabelValues(k.zone).Inc()
		k.logger.Error("blocks cannot be kept; a restart would free those who are blocked", zap.Error(err))
	}
}

func (k *keeper) tryWrite(blocks []limit.Block) error {
	storage := k.current()
	if storage == nil {
		return nil
	}
	file, err := k.file()
	if err != nil {
		return err
	}
	text, err := writeBlocks(blocks)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	return storage.Store(ctx, file, text)
}
