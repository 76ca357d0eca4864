package ollamaadapter

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// memoryStorage is a storage that gateways share, of which single operations can fail.
type memoryStorage struct {
	certmagic.Storage
	lock sync.Mutex

	mu     sync.Mutex
	values map[string][]byte
	calls  []string
	fail   map[string]error
}

func (s *memoryStorage) call(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	return s.fail[name]
}

func (s *memoryStorage) Lock(context.Context, string) error {
	if err := s.call("lock"); err != nil {
		return err
	}
	s.lock.Lock()
	return nil
}

func (s *memoryStorage) Unlock(context.Context, string) error {
	s.lock.Unlock()
	return s.call("unlock")
}

func (s *memoryStorage) Load(_ context.Context, key string) ([]byte, error) {
	if err := s.call("load"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, ok := s.values[key]; ok {
		return value, nil
	}
	return nil, fs.ErrNotExist
}

func (s *memoryStorage) Store(_ context.Context, key string, value []byte) error {
	if err := s.call("store"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = make(map[string][]byte)
	}
	s.values[key] = value
	return nil
}

// keyIn is the key of a gateway that starts with this storage, and what it warns of.
func keyIn(storage certmagic.Storage) (key []byte, warnings string) {
	core, logs := observer.New(zap.WarnLevel)
	key = (&conversationKey{storage: storage, logger: zap.New(core)}).get()
	for _, entry := range logs.All() {
		warnings += entry.Message + " " + entry.ContextMap()["error"].(string)
	}
	return key, warnings
}

func TestTheKeyOfConversationsIsMadeOnce(t *testing.T) {
	storage := new(memoryStorage)
	first, warnings := keyIn(storage)
	if len(first) != 32 || warnings != "" {
		t.Errorf("the key is %x; %s", first, warnings)
	}
	if restarted, _ := keyIn(storage); !bytes.Equal(restarted, first) {
		t.Errorf("after a restart the key is %x, was %x", restarted, first)
	}
	if other, _ := keyIn(new(memoryStorage)); bytes.Equal(other, first) {
		t.Error("another installation has the same key")
	}
	if strings.Join(storage.calls, " ") != "load lock load store unlock load" {
		t.Errorf("the storage is asked to %q", storage.calls)
	}
}

func TestGatewaysThatShareAStorageAgreeOnTheKeyOfConversations(t *testing.T) {
	storage := new(memoryStorage)
	keys := make([][]byte, 16)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() { keys[i], _ = keyIn(storage) })
	}
	all.Wait()
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) {
			t.Fatalf("keys are %x and %x", key, keys[0])
		}
	}
}

func TestAStorageThatFailsLeavesAKeyThatNobodyKnows(t *testing.T) {
	down := errors.New("the storage is down")
	for name, storage := range map[string]*memoryStorage{
		"it cannot be read":       {fail: map[string]error{"load": down}},
		"it cannot be locked":     {fail: map[string]error{"lock": down}},
		"it cannot be written":    {fail: map[string]error{"store": down}},
		"there is something else": {values: map[string][]byte{conversationKeyName: []byte("key")}},
		"there is a short key":    {values: map[string][]byte{conversationKeyName: []byte(strings.Repeat("0f", 31))}},
		"there is a long one":     {values: map[string][]byte{conversationKeyName: []byte(strings.Repeat("0f", 33))}},
	} {
		t.Run(name, func(t *testing.T) {
			stored := string(storage.values[conversationKeyName])
			key, warnings := keyIn(storage)
			if !bytes.Equal(key, processKey()) || len(key) != 32 || bytes.Equal(key, make([]byte, 32)) {
				t.Errorf("the key is %x", key)
			}
			if !strings.Contains(warnings, "cannot be kept") || !strings.Contains(warnings, "storage is down") && stored == "" {
				t.Errorf("the log says %q", warnings)
			}
			if again, _ := keyIn(storage); !bytes.Equal(again, key) {
				t.Error("another handler of the process has another key")
			}
			if string(storage.values[conversationKeyName]) != stored {
				t.Error("what was stored is overwritten")
			}
		})
	}
}
