package jwtauth

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// PrivateKey is a file with a private key in PEM.
type PrivateKey struct {
	File string `json:"file"`
	// The algorithm to sign with. Default: RS256, that of the curve, or EdDSA.
	Algorithm string `json:"algorithm,omitempty"`
}

// signingKey is the key that a Minter signs with. It follows what it is read from: a
// changed file counts with the first token after watchEvery, with no reload.
type signingKey struct {
	read   func() ([]byte, error)
	parse  func([]byte) (*key.Key, error)
	id     string // the kid of its tokens
	logger *zap.Logger

	current atomic.Pointer[key.Key]
	looking sync.Mutex // guards the rest; who cannot have it signs with the current key
	looked  time.Time
	source  []byte // what the current key was read from
	fault   string // what was wrong with the newest source; empty if nothing
}

// signingKey reads the key that the configuration names.
func (m *Minter) signingKey(logger *zap.Logger) (*signingKey, error) {
	s := &signingKey{logger: logger, looked: m.now().Round(0)}
	if m.PrivateKey.File == "" {
		s.read = func() ([]byte, error) {
			value, err := resolveSecret(m.Secret.Value)
			if err != nil {
				return nil, fmt.Errorf("secret: %w", err)
			}
			return []byte(value), nil
		}
		s.parse = func(value []byte) (*key.Key, error) { return parseSecret(value, m.Secret.Algorithm) }
	} else {
		file, err := expand("private_key", m.PrivateKey.File)
		if err != nil {
			return nil, err
		}
		s.read = func() ([]byte, error) {
			pem, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("private_key: %w", err)
			}
			return pem, nil
		}
		s.parse = func(pem []byte) (*key.Key, error) { return parsePrivate(file, pem, m.PrivateKey.Algorithm) }
	}
	s.id = m.KeyID
	return s, s.look()
}

// at is the key to sign with at a time.
func (s *signingKey) at(now time.Time) *key.Key {
	if s.looking.TryLock() {
		defer s.looking.Unlock()
		if age := now.Sub(s.looked); age < 0 || age >= watchEvery {
			s.looked = now
			s.follow()
		}
	}
	return s.current.Load()
}

// follow looks for a change, and logs it. A key that is not sound is none: the one
// before it stays.
func (s *signingKey) follow() {
	before := s.current.Load()
	err := s.look()
	switch {
	case err != nil && err.Error() != s.fault:
		s.fault = err.Error()
		s.logger.Error("the changed key cannot be used; tokens are signed with the one before", zap.Error(err))
	case err == nil:
		s.fault = ""
		if s.current.Load() != before {
			s.logger.Info("tokens are signed with the changed key")
		}
	}
}

// look reads the key.
func (s *signingKey) look() error {
	source, err := s.read()
	if err != nil || s.source != nil && bytes.Equal(source, s.source) {
		return err
	}
	k, err := s.parse(source)
	if err != nil {
		return err
	}
	k.ID = s.id
	s.source = source
	s.current.Store(k)
	return nil
}

// parseSecret makes a key of a secret, for HS256 if nothing else is said.
func parseSecret(value []byte, algorithm string) (*key.Key, error) {
	if algorithm == "" {
		algorithm = "HS256"
	}
	k, err := key.Secret(value, algorithm)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return k, nil
}

// parsePrivate makes a key of the private key in a file.
func parsePrivate(file string, pem []byte, algorithm string) (*key.Key, error) {
	k, err := key.ParsePrivatePEM(pem, algorithm)
	if err != nil {
		return nil, fmt.Errorf("private_key %s: %w", file, err)
	}
	return k, nil
}
