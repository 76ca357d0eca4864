package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// Secret is an HMAC key.
type Secret struct {
	// The key, with placeholders such as `{file./etc/caddy-ollama/jwt.key}` or
	// `{env.JWT_SECRET}`.
	Value string `json:"value"`
	// HS256, HS384 or HS512. Default: HS256.
	Algorithm string `json:"algorithm,omitempty"`
}

// PublicKey is a file with public keys or certificates in PEM, or with a JWK Set.
type PublicKey struct {
	File string `json:"file"`
	// The one algorithm that tokens are signed with. Default: RS256, that of the
	// curve, or EdDSA.
	Algorithm string `json:"algorithm,omitempty"`
}

// watchEvery is how often files with keys are looked at.
const watchEvery = 2 * time.Second

// localKeys are the keys that this machine has, as they are now. A file that changes
// counts within seconds; one that is no good any more changes nothing but the log.
type localKeys struct {
	secrets []Secret
	public  []PublicKey

	set    atomic.Pointer[key.Set]
	read   [][]byte // what set was made of
	logger *zap.Logger
	done   chan struct{}
	ended  chan struct{}
}

// Find implements key.Source.
func (l *localKeys) Find(ctx context.Context, algorithm, kid string) (keys []*key.Key, decoy, missing bool) {
	return l.set.Load().Find(ctx, algorithm, kid)
}

// load reads the keys. Its error says which option is at fault.
func (l *localKeys) load() error {
	material, err := l.material()
	if err != nil {
		return err
	}
	var set key.Set
	for i, secret := range l.secrets {
		algorithm := secret.Algorithm
		if algorithm == "" {
			algorithm = "HS256"
		}
		k, err := key.Secret(material[i], algorithm)
		if err != nil {
			return fmt.Errorf("secret: %w", err)
		}
		set = append(set, k)
	}
	for i, public := range l.public {
		keys, err := key.ParsePEM(material[len(l.secrets)+i], public.Algorithm)
		if err != nil {
			return fmt.Errorf("public_key %s: %w", public.File, err)
		}
		set = append(set, keys...)
	}
	l.read = material
	l.set.Store(&set)
	return nil
}

// material is what the keys are made of, in their order.
func (l *localKeys) material() (material [][]byte, err error) {
	for _, secret := range l.secrets {
		value, err := resolveSecret(secret.Value)
		if err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		material = append(material, []byte(value))
	}
	for _, public := range l.public {
		data, err := os.ReadFile(public.File)
		if err != nil {
			return nil, fmt.Errorf("public_key: %w", err)
		}
		material = append(material, data)
	}
	return material, nil
}

// watch looks at the files until stop.
func (l *localKeys) watch() {
	l.done, l.ended = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.ended)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		said := ""
		for {
			select {
			case <-l.done:
				return
			case <-tick.C:
				said = l.look(said)
			}
		}
	}()
}

// look reads the keys again if they have changed. said is what it said the last time
// that it could not, so that it says nothing twice.
func (l *localKeys) look(said string) string {
	material, err := l.material()
	if err == nil {
		if slices.EqualFunc(material, l.read, slices.Equal[[]byte]) {
			return ""
		}
		err = l.load()
	}
	if err == nil {
		l.logger.Info("keys have changed and count from now on")
		return ""
	}
	if err.Error() != said {
		l.logger.Error("keys have changed for the worse; the old ones stay", zap.Error(err))
	}
	return err.Error()
}

func (l *localKeys) stop() {
	if l.done != nil {
		close(l.done)
		<-l.ended
	}
}

// readable are the placeholders that a secret may come from. Their names may be
// told; nothing else of a secret may.
var readable = regexp.MustCompile(`\{(file|env)\.[^{}]*\}`)

// resolveSecret expands the placeholders of a secret. It never tells the secret.
func resolveSecret(secret string) (string, error) {
	value, err := caddy.NewReplacer().ReplaceOrErr(secret, true, true)
	if err == nil {
		return value, nil
	}
	if from := readable.FindString(secret); from != "" {
		return "", fmt.Errorf("%s is empty; does the file exist, is it readable, is the variable set? `openssl rand -base64 48` makes a secret", from)
	}
	return "", errors.New("it has braces, but no placeholder {file.…} or {env.…}; put it into a file and name that; `openssl rand -base64 48` makes one")
}
