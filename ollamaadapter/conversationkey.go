package ollamaadapter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// conversationKey is the key of the hashes that conversations are named by. Without a
// key, anybody who sees such a name could find out by trying how a conversation
// opened, for many open with the same few words.
//
// It is made once and kept in Caddy's storage. So a conversation keeps its name when
// the gateway starts anew, and gateways that share a storage agree on it.
type conversationKey struct {
	storage certmagic.Storage
	logger  *zap.Logger

	once sync.Once
	key  []byte
}

const (
	// conversationKeyName is where the key is in the storage.
	conversationKeyName = "caddy_ollama/conversation.key"
	// conversationKeySize is its size in bytes; it is stored in hex.
	conversationKeySize = 32
	// storageTimeout bounds what the first request waits for the storage.
	storageTimeout = 5 * time.Second
)

// get is the key. It is read when it is first needed, so that `caddy validate`, which
// may be run by another user, makes none.
func (k *conversationKey) get() []byte {
	k.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
		defer cancel()
		key, err := storedKey(ctx, k.storage)
		if err != nil {
			k.logger.Warn("the key that conversations are named by cannot be kept; until it can, and the configuration is loaded again, their names are this process's own",
				zap.String("storage_key", conversationKeyName), zap.Error(err))
			key = processKey()
		}
		k.key = key
	})
	return k.key
}

// processKey is the key of a process whose storage fails.
var processKey = sync.OnceValue(newKey)

func newKey() []byte {
	key := make([]byte, conversationKeySize)
	_, _ = rand.Read(key) // which never fails
	return key
}

// storedKey reads the key from the storage. If there is none yet it makes one, under a
// lock: of gateways that do so at the same time, one wins.
func storedKey(ctx context.Context, storage certmagic.Storage) (key []byte, err error) {
	if key, err = loadKey(ctx, storage); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := storage.Lock(ctx, conversationKeyName); err != nil {
		return nil, fmt.Errorf("locking the storage: %w", err)
	}
	defer func() { err = errors.Join(err, storage.Unlock(context.WithoutCancel(ctx), conversationKeyName)) }()
	if key, err = loadKey(ctx, storage); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = newKey()
	if err := storage.Store(ctx, conversationKeyName, []byte(hex.EncodeToString(key)+"\n")); err != nil {
		return nil, fmt.Errorf("storing a new key: %w", err)
	}
	return key, nil
}

func loadKey(ctx context.Context, storage certmagic.Storage) ([]byte, error) {
	stored, err := storage.Load(ctx, conversationKeyName)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(stored)))
	if err != nil || len(key) != conversationKeySize {
		return nil, errors.New("what is stored is no key; delete it, and a new one is made")
	}
	return key, nil
}
