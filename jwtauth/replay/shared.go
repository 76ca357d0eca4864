package replay

import (
	"context"
	"encoding/hex"
	"errors"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Shared is a memory that gateways share in Redis. Each also remembers what it has
// seen itself, and goes by that alone while Redis does not answer.
type Shared struct {
	client  goredis.UniversalClient
	prefix  string
	timeout time.Duration
	local   *Store
	// refuse: while Redis does not answer no token passes.
	refuse bool
	tell   func(error) // that Redis is lost, or back: nil

	down atomic.Bool
	stop chan struct{}
	done chan struct{}
}

// probeEvery is how often Shared looks whether Redis is back.
const probeEvery = 250 * time.Millisecond

// NewShared returns a memory of which at most max tokens are this gateway's own. tell
// is called when Redis is lost, and with nil when it is back.
func NewShared(client goredis.UniversalClient, prefix string, timeout time.Duration, max int, refuse bool, tell func(error)) *Shared {
	s := &Shared{
		client: client, prefix: prefix + ":jti:", timeout: timeout, local: New(max), refuse: refuse, tell: tell,
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go s.run()
	return s
}

// First reports whether this is the first time that the token comes to any gateway. With
// an error it must not pass, but is not used up by that.
func (s *Shared) First(issuer, jti string, expires, now time.Time) (bool, error) {
	if s.refuse && s.down.Load() {
		return false, ErrUnavailable
	}
	if first, err := s.local.First(issuer, jti, expires, now); !first || err != nil {
		return false, err
	}
	if !s.down.Load() {
		first, err := s.first(issuer, jti, expires.Sub(now)+time.Second)
		if err == nil {
			return first, nil
		}
		if s.down.CompareAndSwap(false, true) {
			s.tell(err)
		}
	}
	if s.refuse {
		s.local.forget(issuer, jti)
		return false, ErrUnavailable
	}
	return true, nil
}

// first asks Redis, whose clock alone says when the token is forgotten.
func (s *Shared) first(issuer, jti string, life time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	name := idOf(issuer, jti)
	err := s.client.SetArgs(ctx, s.prefix+hex.EncodeToString(name[:]), "", goredis.SetArgs{Mode: "NX", TTL: life}).Err()
	if errors.Is(err, goredis.Nil) {
		return false, nil
	}
	return err == nil, err
}

func (s *Shared) run() {
	defer close(s.done)
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		if s.down.Load() && s.recovered() {
			s.down.Store(false)
			s.tell(nil)
		}
	}
}

// recovered reports whether Redis answers, and has been told of the tokens that passed
// here, in case it has forgotten or never knew them.
func (s *Shared) recovered() bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	if s.client.Ping(ctx).Err() != nil {
		return false
	}
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	now := time.Now()
	pipe := s.client.Pipeline()
	for name, until := range s.local.all() {
		if life := time.Unix(until, 0).Sub(now); life > 0 {
			pipe.SetArgs(ctx, s.prefix+hex.EncodeToString(name[:]), "", goredis.SetArgs{Mode: "NX", TTL: life})
		}
		if pipe.Len() >= 1000 {
			if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, goredis.Nil) {
				return false
			}
		}
	}
	_, err := pipe.Exec(ctx)
	return err == nil || errors.Is(err, goredis.Nil)
}

// Len is how many tokens this gateway remembers.
func (s *Shared) Len() int { return s.local.Len() }

// Stop ends what goes on in the background.
func (s *Shared) Stop() {
	close(s.stop)
	<-s.done
}
