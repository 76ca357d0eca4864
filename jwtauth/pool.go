package jwtauth

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/jwtauth/replay"
)

// pool is what outlives a reload.
var pool = caddy.NewUsagePool()

// replayKey is where the pool has the tokens that have passed: one memory for all
// handlers, because a token that has passed one must not pass another.
const replayKey = "replay"

// maxReplayed bounds the tokens that are remembered, at some 40 bytes each.
const maxReplayed = 1 << 20

// replayed is a replay.Store that a pool can hold.
type replayed struct{ *replay.Store }

func newReplayed() (caddy.Destructor, error) { return replayed{replay.New(maxReplayed)}, nil }

// Destruct does nothing: memory is all that it has.
func (replayed) Destruct() error { return nil }
