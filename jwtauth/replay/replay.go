// Package replay remembers the ids of tokens, so that each passes once.
package replay

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"sync"
	"time"
)

const (
	shards = 16
	// sweepEvery is how often a shard drops what has expired, at the most.
	sweepEvery = 30 * time.Second
)

// Errors where nobody can tell whether a token may pass.
var (
	ErrUnavailable = errors.New("the memory of tokens that gateways share does not answer")
	ErrFull        = errors.New("the memory of used tokens is full; tokens that live shorter leave it sooner")
)

// Store is a memory of tokens with a bound. It is safe for concurrent use.
type Store struct {
	perShard int
	shards   [shards]shard
}

type shard struct {
	mu    sync.Mutex
	until map[id]int64 // Unix seconds
	swept time.Time
}

// id is a part of a hash: clients choose what tokens are called, but not what they
// are called here. 128 bits do not collide.
type id [16]byte

// New returns a Store of at most max tokens.
func New(max int) *Store {
	s := &Store{perShard: max / shards}
	for i := range s.shards {
		s.shards[i].until = make(map[id]int64)
	}
	return s
}

// First reports whether this is the first time that the token of an issuer with
// this jti comes; it is remembered until it has expired. One that could not be
// remembered must not pass: then the error is ErrFull.
func (s *Store) First(issuer, jti string, expires, now time.Time) (bool, error) {
	key := idOf(issuer, jti)
	shard := s.shardOf(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if until, known := shard.until[key]; known && now.Unix() <= until {
		return false, nil
	}
	if len(shard.until) >= s.perShard || now.Sub(shard.swept) > sweepEvery {
		shard.sweep(now)
	}
	if len(shard.until) >= s.perShard {
		return false, ErrFull
	}
	shard.until[key] = expires.Unix() + 1
	return true, nil
}

// forget takes a token back that was the first, but did not pass.
func (s *Store) forget(issuer, jti string) {
	key := idOf(issuer, jti)
	shard := s.shardOf(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	delete(shard.until, key)
}

func (s *Store) shardOf(key id) *shard { return &s.shards[key[len(key)-1]%shards] }

// idOf is what a token is called here.
func idOf(issuer, jti string) id {
	hash := sha256.New()
	_ = binary.Write(hash, binary.BigEndian, uint64(len(issuer))) // a hash never fails
	hash.Write([]byte(issuer))
	hash.Write([]byte(jti))
	return id(hash.Sum(nil))
}

// all is a copy of what is remembered, and until when.
func (s *Store) all() map[id]int64 {
	all := make(map[id]int64)
	for i := range s.shards {
		s.shards[i].mu.Lock()
		maps.Copy(all, s.shards[i].until)
		s.shards[i].mu.Unlock()
	}
	return all
}

func (s *shard) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Second && now.After(s.swept) {
		return // it is full of what lives; to look again would cost each newcomer a sweep
	}
	s.swept = now
	for key, until := range s.until {
		if now.Unix() > until {
			delete(s.until, key)
		}
	}
}

// Len is how many tokens are remembered.
func (s *Store) Len() (n int) {
	for i := range s.shards {
		s.shards[i].mu.Lock()
		n += len(s.shards[i].until)
		s.shards[i].mu.Unlock()
	}
	return n
}
