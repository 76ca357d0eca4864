package jwtauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func init() {
	caddy.RegisterModule(Minter{})
}

// Minter is the client's side of jwt_auth: it puts `Authorization: Bearer <token>`
// with a token of its own on each request that goes on, in place of whatever
// credentials the caller sent.
//
// Who the token speaks for is said by the configuration alone. Placeholders are
// resolved at load; those of a request are errors, because an identity that the
// caller can write is none.
type Minter struct {
	// The secret to sign with. Either this or `private_key` must be given. A file that
	// changes counts within seconds; so does that of a private key.
	Secret Secret `json:"secret,omitzero"`
	// The private key to sign with.
	PrivateKey PrivateKey `json:"private_key,omitzero"`
	// The `kid` in the header of tokens. Default: none.
	KeyID string `json:"key_id,omitempty"`
	// Who the tokens speak for.
	Subject string `json:"sub,omitempty"`
	// The tokens' `iss`. Default: none.
	Issuer string `json:"iss,omitempty"`
	// The tokens' `aud`. Default: none.
	Audience []string `json:"aud,omitempty"`
	// The life of a token, from 30s to 1h. Default: 5m.
	TTL caddy.Duration `json:"ttl,omitempty"`
	// How long one token is used again, at most half of its life. Default: 0, which
	// is a fresh token for each request.
	Reuse caddy.Duration `json:"reuse,omitempty"`
	// The file of the client certificate, in PEM form, that tokens are bound to by
	// `cnf.x5t#S256`: nobody can use them without it. Default: none.
	Certificate string `json:"certificate,omitempty"`
	// More claims, by name.
	Claims map[string]json.RawMessage `json:"claim,omitempty"`
	// Where the Caddyfile has this handler, for messages.
	Source string `json:"source,omitempty"`

	says statement
	key  *signingKey
	now  func() time.Time
	kept *keptToken
}

// keptToken is the newest token, for use again.
type keptToken struct {
	mu      sync.Mutex
	compact string
	minted  time.Time
	key     *key.Key
}

// Bounds of a token's life.
const (
	shortestTTL = caddy.Duration(30 * time.Second)
	longestTTL  = caddy.Duration(time.Hour)
)

// backdating is how long ago a token says that it was issued. No two hosts have the
// same time, and jwt_auth refuses a token from the future, be it of a millisecond.
const backdating = 5 * time.Second

// CaddyModule returns the Caddy module information.
func (Minter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.jwt_mint",
		New: func() caddy.Module { return new(Minter) },
	}
}

// Provision reads key and certificate, and makes a first token to see whether
// jwt_auth would take it.
//
// The certificate is read here and not again: reverse_proxy reads the one that it
// shows at load, too, and a token bound to any other would be refused.
func (m *Minter) Provision(ctx caddy.Context) error {
	if m.TTL == 0 {
		m.TTL = caddy.Duration(5 * time.Minute)
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.kept = new(keptToken)
	if err := m.prepare(ctx.Logger()); err != nil {
		return fmt.Errorf("jwt_mint%s: %w", m.at(), err)
	}
	return nil
}

func (m *Minter) prepare(logger *zap.Logger) (err error) {
	if err := m.check(); err != nil {
		return err
	}
	if m.says, err = m.statement(); err != nil {
		return err
	}
	if m.key, err = m.signingKey(logger); err != nil {
		return err
	}
	now := m.now()
	k := m.key.at(now)
	compact, err := m.mint(k, now)
	if err != nil {
		return err
	}
	return acceptable(k, compact, now, time.Duration(m.TTL))
}

// check refuses a configuration that makes no sense, before its files are read.
func (m *Minter) check() error {
	switch {
	case m.Secret.Value == "" && m.PrivateKey.File == "":
		return errors.New("no key: give a secret, such as secret {file./etc/caddy-ollama/jwt.key}, or a private_key")
	case m.Secret.Value != "" && m.PrivateKey.File != "":
		return errors.New("give either a secret or a private_key")
	case m.Subject == "":
		return errors.New("no sub: say who the tokens speak for")
	case m.TTL < shortestTTL || m.TTL > longestTTL:
		return fmt.Errorf("ttl %s: it must lie between 30s and 1h", time.Duration(m.TTL))
	case m.Reuse < 0 || m.Reuse > m.TTL/2:
		return fmt.Errorf("reuse %s: it must be at most half of ttl, %s, so that no token is too old when it arrives", time.Duration(m.Reuse), time.Duration(m.TTL))
	}
	return nil
}

// at says where the Caddyfile has this handler, if it comes from one.
func (m *Minter) at() string {
	if m.Source == "" {
		return ""
	}
	return " at " + m.Source
}

// statement is what the configuration wants tokens to say.
func (m *Minter) statement() (s statement, err error) {
	if s.subject, err = expand("sub", m.Subject); err != nil {
		return s, err
	}
	if s.issuer, err = expand("iss", m.Issuer); err != nil {
		return s, err
	}
	for _, audience := range m.Audience {
		if audience, err = expand("aud", audience); err != nil {
			return s, err
		}
		s.audience = append(s.audience, audience)
	}
	for name, value := range m.Claims {
		if value, err = expandClaim(name, value); err != nil {
			return s, err
		}
		if err = s.add(name, value); err != nil {
			return s, err
		}
	}
	file, err := expand("certificate", m.Certificate)
	if file != "" && err == nil {
		s.certificate, err = readCertificate(file)
	}
	return s, err
}

// credentials are the headers in which callers send keys of theirs: an SDK always
// has one, if only a dummy.
var credentials = []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key"}

func (m *Minter) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	for _, name := range credentials {
		r.Header.Del(name)
	}
	compact, err := m.token()
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	r.Header.Set("Authorization", "Bearer "+compact)
	return next.ServeHTTP(w, r)
}

// token is one to send now.
func (m *Minter) token() (string, error) {
	// the wall clock is what a token is checked by; the monotonic one may stand still
	// while the host sleeps
	now := m.now().Round(0)
	k := m.key.at(now)
	if m.Reuse == 0 {
		return m.mint(k, now)
	}
	m.kept.mu.Lock()
	defer m.kept.mu.Unlock()
	age := now.Sub(m.kept.minted)
	if m.kept.key == k && age >= 0 && age < time.Duration(m.Reuse) {
		return m.kept.compact, nil
	}
	compact, err := m.mint(k, now)
	if err == nil {
		m.kept.compact, m.kept.minted, m.kept.key = compact, now, k
	}
	return compact, err
}

func (m *Minter) mint(k *key.Key, now time.Time) (string, error) {
	return token.Issue(k, m.says.claims(now.Add(-backdating), time.Duration(m.TTL)))
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Minter)(nil)
	_ caddyhttp.MiddlewareHandler = (*Minter)(nil)
)
