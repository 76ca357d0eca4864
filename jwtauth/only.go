package jwtauth

import (
	"context"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// only are the keys of a source that serve one of these algorithms.
type only struct {
	key.Source
	algorithms map[string]bool
}

// Find implements key.Source.
func (o only) Find(ctx context.Context, algorithm, kid string) (keys []*key.Key, decoy, missing bool) {
	if !o.algorithms[algorithm] {
		return nil, false, false
	}
	return o.Source.Find(ctx, algorithm, kid)
}
