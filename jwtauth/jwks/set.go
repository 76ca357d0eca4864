package jwks

import (
	"context"
	"slices"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// set is what one fetch brought. It does not change.
type set struct {
	keys key.Set
	// expires is when it serves no more, even if there is no other.
	expires time.Time
}

func (s *set) serves(now time.Time) bool { return now.Before(s.expires) }

// settles reports whether this set can say if a token with this kid is sound. If not,
// a newer one may. A kid that it has not may be a key just published; a token with
// no kid tells nothing of that.
func (s *set) settles(algorithm, kid string, now time.Time) bool {
	return s.serves(now) && (kid == "" || slices.ContainsFunc(s.keys, func(k *key.Key) bool {
		return k.ID == kid && k.Algorithm == algorithm
	}))
}

// find is key.Source's Find. Keys that have expired are there as decoys only.
func (s *set) find(ctx context.Context, algorithm, kid string, now time.Time) (keys []*key.Key, decoy, missing bool) {
	keys, decoy, _ = s.keys.Find(ctx, algorithm, kid)
	if missing = !s.serves(now); missing && len(keys) > 0 {
		return keys[:1], true, true
	}
	return keys, decoy, missing
}
