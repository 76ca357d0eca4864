package jwtauth

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/jwtauth/jwks"
	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// JWKS are keys that an identity provider publishes.
type JWKS struct {
	// Where its JWK Set is; https only.
	URL string `json:"url"`
	// How old the set may become, and so how long a key lives that was withdrawn.
	// Default: 10m.
	Refresh caddy.Duration `json:"refresh,omitempty"`
	// A file with the CAs that vouch for the provider. Default: the system's.
	CA string `json:"ca,omitempty"`
}

// published are the algorithms of keys that a provider can have: a secret is not
// published. So no token that is signed with one ever waits for the provider, nor is
// excused by its outage.
var published = func() map[string]bool {
	algorithms := make(map[string]bool)
	for _, algorithm := range key.Algorithms {
		algorithms[algorithm] = !strings.HasPrefix(algorithm, "HS")
	}
	return algorithms
}()

// sharedLogger is the logger of what outlives a configuration.
func sharedLogger() *zap.Logger { return caddy.Log().Named("http.handlers.jwt_auth") }

// parseSet reads a set. What it leaves out is the provider's business, as a rule: a key
// for encryption, or of a new kind.
func parseSet(data []byte) (keys []*key.Key, err error) {
	defer func() { // on a goroutine where nobody else would catch it
		if p := recover(); p != nil {
			keys, err = nil, fmt.Errorf("panic while the set was read: %v", p)
		}
	}()
	keys, leftOut, err := key.ParseJWKS(data, "")
	for _, why := range leftOut {
		level := zap.DebugLevel
		if len(keys) == 0 {
			level = zap.WarnLevel // then every token will be refused
		}
		sharedLogger().Log(level, "a key of the provider's is left out", zap.Error(why))
	}
	return keys, err
}

// source is the keys at the URL. They outlive a reload: key is what to give back to
// the pool.
func (j *JWKS) source() (remote key.Source, poolKey string, err error) {
	url, err := caddy.NewReplacer().ReplaceOrErr(j.URL, true, true)
	if err != nil {
		return nil, "", fmt.Errorf("the URL: %w", err)
	}
	options := jwks.Options{
		URL: url, Refresh: time.Duration(j.Refresh), Parse: parseSet, Logger: sharedLogger,
	}
	poolKey = "jwks " + options.PoolKey()
	if j.CA != "" {
		pem, err := os.ReadFile(j.CA)
		if err != nil {
			return nil, "", fmt.Errorf("ca: %w", err)
		}
		if options.RootCAs = x509.NewCertPool(); !options.RootCAs.AppendCertsFromPEM(pem) {
			return nil, "", fmt.Errorf("ca: %s has no certificate in PEM", j.CA)
		}
		poolKey += " ca " + string(pem)
	}
	value, _, err := pool.LoadOrNew(poolKey, func() (caddy.Destructor, error) { return jwks.New(options) })
	if err != nil {
		return nil, "", err
	}
	return only{value.(*jwks.Remote), published}, poolKey, nil
}
