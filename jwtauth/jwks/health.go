package jwks

import (
	"time"

	"go.uber.org/zap"
)

// health is what the log was last told of the provider.
type health int

const (
	healthy health = iota
	stale          // it fails, the last good set serves
	closed         // it fails, no key serves
)

// report logs how a fetch ended if that changes what operators know. It tells the host
// and the kind of failure and nothing else: the URL may hold a secret, and an error's
// text what the provider sent.
func (r *Remote) report(err error) {
	was := r.health
	switch {
	case err == nil:
		r.health = healthy
	case r.set.Load().serves(time.Now()):
		r.health = stale
	default:
		r.health = closed
	}
	if r.health == was {
		return
	}
	log := r.options.Logger().With(zap.String("host", r.provider.request.URL.Host))
	switch r.health {
	case healthy:
		log.Info("jwks: the keys can be fetched again")
	case stale:
		log.Warn("jwks: the keys cannot be fetched; those fetched last serve for a limited time", zap.Error(err))
	case closed:
		log.Error("jwks: the keys cannot be fetched and there are none left; every token of theirs is refused", zap.Error(err))
	}
}
