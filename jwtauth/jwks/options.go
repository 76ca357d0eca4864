// Package jwks has the keys that an identity provider publishes at an https URL as a
// JWK Set (RFC 7517 section 5). A set is fetched in the background and replaced as a
// whole, so that a key that was withdrawn dies.
package jwks

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// Options say where the keys are and how long they count.
type Options struct {
	// URL is where the set is: https, and no placeholder left in it.
	URL string
	// Refresh is how old a set becomes while the provider can be reached. A key
	// that was withdrawn is dead by then. Cache-Control max-age may make that
	// sooner, but no sooner than a minute; it never makes it later. Default: 10m.
	Refresh time.Duration
	// StaleFor is how much longer the last good set serves while there is no other
	// to be had. After that no key does. Default: 1h.
	StaleFor time.Duration
	// Parse reads a set. It refuses the whole of it if any of it is not to be trusted.
	Parse func([]byte) ([]*key.Key, error)
	// RootCAs vouch for the provider. Default: the system's.
	RootCAs *x509.CertPool
	// Logger is asked for anew for each line, because a Remote that is shared
	// outlives the configuration that made it. Default: none.
	Logger func() *zap.Logger

	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// shortest and longest bound how long a set may count: less is an attack on the
// provider, more is a withdrawn key that lives.
const (
	shortest = time.Second
	longest  = 24 * time.Hour
)

// PoolKey is the same for options that can share a Remote. RootCAs are not part of it.
func (o Options) PoolKey() string {
	o = o.withDefaults()
	return fmt.Sprintf("%s refresh %s stale %s", o.URL, o.Refresh, o.StaleFor)
}

func (o Options) withDefaults() Options {
	if o.Refresh == 0 {
		o.Refresh = 10 * time.Minute
	}
	if o.StaleFor == 0 {
		o.StaleFor = time.Hour
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop
	}
	return o
}

// check refuses options that make no sense, but for the URL.
func (o Options) check() error {
	switch {
	case o.Parse == nil:
		return errors.New("jwks has nothing to read a set with")
	case o.Refresh < shortest || o.Refresh > longest:
		return fmt.Errorf("refresh %s: give a duration from %s to %s, such as 10m", o.Refresh, shortest, longest)
	case o.StaleFor < shortest || o.StaleFor > longest:
		return fmt.Errorf("keys that serve for %s without the provider: give a duration from %s to %s, such as 1h", o.StaleFor, shortest, longest)
	}
	return nil
}

// parseURL takes a URL only if nothing that a client or the network sends can change
// whose keys are got from it. Its errors do not repeat the URL, which may hold a password.
func parseURL(text string) (*url.URL, error) {
	if strings.ContainsAny(text, "{}") {
		return nil, errors.New("the jwks URL has braces; only {env.*} and {file.*} are resolved, when the configuration is loaded")
	}
	address, err := url.Parse(text)
	switch {
	case err != nil || address.Scheme != "https" || address.Hostname() == "":
		return nil, errors.New("the jwks URL must be one of https with a host, such as https://idp.example.com/jwks.json")
	case address.User != nil:
		return nil, errors.New("the jwks URL has a user name; leave it out, a JWK Set is public")
	}
	return address, nil
}
