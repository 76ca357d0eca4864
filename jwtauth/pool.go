package jwtauth

import (
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/jwtauth/replay"
	"github.com/gateway18789/caddy-ollama/ratelimit/redisconfig"
)

// pool is what outlives a reload.
var pool = caddy.NewUsagePool()

// replayKey is where the pool has the tokens that have passed: one memory for all
// handlers, because a token that has passed one must not pass another.
const replayKey = "replay"

// maxReplayed bounds the tokens that are remembered, at some 40 bytes each.
const maxReplayed = 1 << 20

// memory remembers tokens.
type memory interface {
	// First reports whether this is the first time that the token comes; an error, that
	// nobody can tell.
	First(issuer, jti string, expires, now time.Time) (bool, error)
}

// replayed is a memory that a pool can hold.
type replayed struct {
	memory
	stop func() error
}

// Destruct implements caddy.Destructor.
func (r replayed) Destruct() error { return r.stop() }

// replayMemory returns where the handler looks tokens up, and what the pool calls it.
func (h *Handler) replayMemory(logger *zap.Logger) (memory, string, error) {
	poolKey, open := replayKey, func() (caddy.Destructor, error) {
		return replayed{replay.New(maxReplayed), func() error { return nil }}, nil
	}
	if h.Redis != nil {
		if err := h.Redis.CheckFiles(); err != nil {
			return nil, "", err
		}
		poolKey += h.Redis.Identity() + h.OnStoreFailure
		open = func() (caddy.Destructor, error) { return sharedMemory(h.Redis, h.OnStoreFailure == "refuse", logger) }
	}
	store, _, err := pool.LoadOrNew(poolKey, open)
	if err != nil {
		return nil, "", err
	}
	return store.(replayed).memory, poolKey, nil
}

// sharedMemory is one that gateways share.
func sharedMemory(o *redisconfig.Options, refuse bool, logger *zap.Logger) (caddy.Destructor, error) {
	client, err := o.Connect()
	if err != nil {
		return nil, err
	}
	if o.Literal() {
		logger.Warn(redisconfig.LiteralWarning)
	}
	shared := replay.NewShared(client, o.KeyPrefix(), o.DecisionTimeout(), maxReplayed, refuse, func(err error) {
		if err == nil {
			logger.Info("the memory of tokens that gateways share is back")
			return
		}
		logger.Error("the memory of tokens that gateways share is lost", zap.Bool("refuse", refuse), zap.Error(err))
	})
	return replayed{shared, func() error {
		shared.Stop()
		return client.Close()
	}}, nil
}
