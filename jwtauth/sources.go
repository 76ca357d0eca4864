package jwtauth

import (
	"context"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// sources are several places where keys are found; a token may be signed with a key
// out of any of them.
type sources []key.Source

// Find implements key.Source.
func (s sources) Find(ctx context.Context, algorithm, kid string) (keys []*key.Key, decoy, missing bool) {
	var decoys []*key.Key
	for _, source := range s {
		found, decoy, lacks := source.Find(ctx, algorithm, kid)
		missing = missing || lacks
		if decoy {
			decoys = append(decoys, found...)
		} else {
			keys = append(keys, found...)
		}
	}
	if len(keys) > 0 || len(decoys) == 0 {
		return keys, false, missing
	}
	return decoys[:1], true, missing
}

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
