package ratelimit

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestAStorageThatFails(t *testing.T) {
	for _, test := range []struct {
		name    string
		storage *shelf
	}{
		{"cannot be read or written", &shelf{broken: errors.New("broken")}},
		{"holds no blocks but garbage", nil},
		{"holds an empty file", nil},
		{"holds something of another kind", nil},
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
				text := map[string]string{
					"holds no blocks but garbage":     `{"a":`,
					"holds an empty file":             ``,
					"holds something of another kind": `{"blocks":[]}`,
					"holds blocks of nobody":          `[{"key":"AAAA"}]`,
				}[test.name]
				_ = storage.Store(t.Context(), file, []byte(text))
			}
			failures := storeErrorsTotal.WithLabelValues("default")
			before := testutil.ToFloat64(failures)
			z, k, logs := keptOn(t, storage, "default")
			if n := testutil.ToFloat64(failures) - before; logs.Len() != 1 || n != 1 {
				t.Errorf("%d log lines and %v counted tell of it", logs.Len(), n)
			}
			z.Block(addressClient("192.0.2.1"), time.Hour)
			k.stop()
			if got := inForce(z); len(got) != 1 {
				t.Errorf("blocked: %v, want the client blocked all the same", got)
			}
			if later := logs.Len() > 1; later != (storage.broken != nil) {
				t.Errorf("logged: %v", logs.All())
			}
		})
	}
}

// Else what was blocked before would be written over by what is blocked after.
func TestBlocksThatCannotBeReadAtTheStartAreReadLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := new(shelf)
		z, k, _ := keptOn(t, storage, "default")
		z.Block(addressClient("192.0.2.1"), time.Hour)
		k.stop()

		storage.broken = errors.New("not yet")
		z, k, logs := keptOn(t, storage, "default")
		if len(inForce(z)) != 0 || logs.Len() != 1 {
			t.Fatalf("blocked: %v, %d log lines", inForce(z), logs.Len())
		}
		z.Block(addressClient("192.0.2.2"), time.Hour)
		time.Sleep(time.Second) // of the bubble's clock
		storage.heal()
		time.Sleep(keepAgain)
		synctest.Wait()
		if got := inForce(z); len(got) != 2 {
			t.Errorf("blocked when the storage can be read again: %v", got)
		}
		k.stop()
		fresh, k, _ := keptOn(t, storage, "default")
		if got := inForce(fresh); len(got) != 2 {
			t.Errorf("blocked after the next restart: %v", got)
		}
		k.stop()
	})
}

func TestBlocksThatCannotBeWrittenAreWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := new(shelf)
		z, k, logs := keptOn(t, storage, "default")
		storage.mu.Lock()
		storage.broken = errors.New("full")
		storage.mu.Unlock()
		failures := testutil.ToFloat64(storeErrorsTotal.WithLabelValues("default"))
		z.Block(addressClient("192.0.2.1"), time.Hour)
		time.Sleep(time.Second)
		if n := testutil.ToFloat64(storeErrorsTotal.WithLabelValues("default")) - failures; n != 1 || logs.Len() != 1 {
			t.Errorf("%v counted and %d log lines tell of it", n, logs.Len())
		}
		storage.heal()
		time.Sleep(keepAgain)
		synctest.Wait()
		if fresh, k, _ := keptOn(t, storage, "default"); len(inForce(fresh)) != 1 {
			t.Error("the block is not written, though the storage works again")
		} else {
			k.stop()
		}
		k.stop()
	})
}

// A network file system may never answer, whatever the context says.
func TestAStorageThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &shelf{stuck: make(chan struct{})}
		since := time.Now()
		z, k, _ := keptOn(t, storage, "default")
		z.Block(addressClient("192.0.2.1"), time.Hour)
		if took := time.Since(since); took > storageTimeout {
			t.Errorf("the configuration was loaded %v later, want %v at most", took, storageTimeout)
		}
		since = time.Now()
		k.stop()
		if took := time.Since(since); took > 2*storageTimeout {
			t.Errorf("it ended %v later, want %v at most", took, 2*storageTimeout)
		}
		if len(inForce(z)) != 1 {
			t.Error("the client is not blocked")
		}
		close(storage.stuck)
		synctest.Wait()
		if storage.times() != 0 {
			t.Error("what is written was not known to be all")
		}
	})
}

func TestASlowStorageIsNotWrittenToAllTheTime(t *testing.T) {
	for _, test := range []struct {
		slow time.Duration
		most int // times within a minute
	}{{0, 121}, {100 * time.Millisecond, 101}, {time.Second, 13}, {2 * time.Second, 7}, {4 * time.Second, 6}} {
		t.Run(test.slow.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage := &shelf{slow: test.slow}
				z, k, _ := keptOn(t, storage, "default")
				for range 600 {
					z.Block(addressClient("192.0.2.1"), time.Hour)
					time.Sleep(100 * time.Millisecond)
				}
				if n := storage.times(); n > test.most || n < test.most*3/4 {
					t.Errorf("written %d times a minute, want about %d", n, test.most)
				}
				k.stop()
			})
		})
	}
}

// Nothing that is written late comes after what is written later.
func TestAStorageDoesOneThingAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := new(shelf)
		z, k, _ := keptOn(t, storage, "default")
		storage.stuck = make(chan struct{})
		z.Block(addressClient("192.0.2.1"), time.Hour)
		time.Sleep(storageTimeout + time.Second) // the first write is given up
		z.Block(addressClient("192.0.2.2"), time.Hour)
		time.Sleep(storageTimeout / 2)
		close(storage.stuck)
		time.Sleep(keepAgain)
		synctest.Wait()
		fresh, k2, _ := keptOn(t, storage, "default")
		if got := inForce(fresh); len(got) != 2 {
			t.Errorf("written in the end: %v", got)
		}
		k2.stop()
		k.stop()
	})
}
