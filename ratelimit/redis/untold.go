package redis

import "sync"

// untold is what Redis must be told, in this order. What it has not taken in stays.
type untold[T any] struct {
	mu  sync.Mutex
	all []T
}

// mostUntold bounds what is remembered. A request that has ended and is forgotten costs a
// slot until its lease lapses, or an error that counts for this gateway only.
const mostUntold = 10_000

func (u *untold[T]) add(one T) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.all) < mostUntold {
		u.all = append(u.all, one)
	}
}

// tell tells all there is, up to the first that fails. Only one may tell at a time.
func (u *untold[T]) tell(say func(T) error) error {
	for {
		one, any := u.first()
		if !any {
			return nil
		}
		if err := say(one); err != nil {
			return err
		}
		u.mu.Lock()
		u.all = u.all[1:]
		u.mu.Unlock()
	}
}

func (u *untold[T]) first() (one T, any bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.all) == 0 {
		u.all = nil // and the array can go
		return one, false
	}
	return u.all[0], true
}
