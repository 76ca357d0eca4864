// Package jwtauth provides the jwt_auth handler and the `caddy jwt` command.
package jwtauth

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler lets a request pass only with a JSON Web Token that is signed with one
// of our secrets (HS256), names its subject, and lives no longer than allowed.
//
// A request with no bearer token is answered 401; one whose token fails, for
// whatever reason, gets `rejected_status` and always the same body. The reason is
// in the audit record only.
//
// The token's subject becomes `{http.auth.user.id}`, each plain claim
// `{http.auth.user.<claim>}`. The Authorization header goes no further.
type Handler struct {
	// The keys that tokens are signed with, at least 32 bytes each. Placeholders
	// such as `{file./etc/caddy-ollama/jwt.key}` or `{env.JWT_SECRET}` are
	// resolved at load. Several, so that one can be rotated while the tokens signed
	// with the old one still live.
	Secrets []string `json:"secrets,omitempty"`
	// The longest life of a token, both claimed and lived. Default: 5m.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`
	// How far the issuer's clock may be off, at most 30s. Default: 0. It does not
	// stretch `max_lifetime`.
	Leeway caddy.Duration `json:"leeway,omitempty"`
	// The `iss` a token must have. Default: any.
	Issuer string `json:"issuer,omitempty"`
	// An `aud` a token must have. Default: any.
	Audience string `json:"audience,omitempty"`
	// The status for a token that fails: 403 or 401. Default: 403.
	RejectedStatus int `json:"rejected_status,omitempty"`
	// Where the Caddyfile has this handler, for messages. The secrets are read only
	// where Caddy runs, so a missing one is found long after the line was read.
	Source string `json:"source,omitempty"`

	verifier token.Verifier
	now      func() time.Time
}

const maxLeeway = caddy.Duration(30 * time.Second)

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.jwt_auth",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision resolves the secrets.
func (h *Handler) Provision(caddy.Context) error {
	if h.MaxLifetime == 0 {
		h.MaxLifetime = caddy.Duration(5 * time.Minute)
	}
	if h.RejectedStatus == 0 {
		h.RejectedStatus = http.StatusForbidden
	}
	if h.now == nil {
		h.now = time.Now
	}
	h.verifier = token.Verifier{
		MaxLifetime: time.Duration(h.MaxLifetime),
		Leeway:      time.Duration(h.Leeway),
		Issuer:      h.Issuer,
		Audience:    h.Audience,
	}
	var keys key.Set
	for _, secret := range h.Secrets {
		k, err := resolveSecret(secret)
		if err != nil {
			return fmt.Errorf("secret%s: %w", h.at(), err)
		}
		keys = append(keys, k)
	}
	h.verifier.Keys = keys
	return nil
}

// Validate refuses a configuration that would let the wrong ones in.
func (h *Handler) Validate() error {
	switch {
	case len(h.Secrets) == 0:
		return errors.New("no secret: name one, such as secret {file./etc/caddy-ollama/jwt.key}")
	case h.MaxLifetime < 0:
		return errors.New("max_lifetime must be positive, such as 5m")
	case h.Leeway < 0 || h.Leeway > maxLeeway:
		return errors.New("leeway must lie between 0 and 30s")
	case h.RejectedStatus != http.StatusForbidden && h.RejectedStatus != http.StatusUnauthorized:
		return fmt.Errorf("rejected_status %d: it must be 403 or 401", h.RejectedStatus)
	}
	return nil
}

// at says where the Caddyfile has this handler, if it comes from one.
func (h *Handler) at() string {
	if h.Source == "" {
		return ""
	}
	return " at " + h.Source
}

// readable are the placeholders that a secret may come from. Their names may be
// told; nothing else of a secret may.
var readable = regexp.MustCompile(`\{(file|env)\.[^{}]*\}`)

// resolveSecret expands the placeholders of a secret and refuses one that is
// missing or can be guessed. It never tells the secret.
func resolveSecret(secret string) (*key.Key, error) {
	value, err := caddy.NewReplacer().ReplaceOrErr(secret, true, true)
	if err != nil {
		if from := readable.FindString(secret); from != "" {
			return nil, fmt.Errorf("%s is empty; does the file exist, is it readable, is the variable set? `openssl rand -base64 48` makes a secret", from)
		}
		return nil, errors.New("it has braces, but no placeholder {file.…} or {env.…}; put it into a file and name that; `openssl rand -base64 48` makes one")
	}
	return key.Secret([]byte(value), "HS256")
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	compact, present := bearerToken(r.Header)
	r.Header.Del("Authorization")
	rec := record.From(r.Context())
	if !present {
		rec.Explain(record.NoToken)
		w.Header().Set("WWW-Authenticate", `Bearer realm="caddy-ollama"`)
		return caddyhttp.Error(http.StatusUnauthorized, &openai.Error{
			Message: "missing bearer token",
			Type:    openai.TypeInvalidRequest,
			Code:    openai.CodeInvalidAPIKey,
		})
	}
	claims, err := h.verifier.Verify(r.Context(), compact, h.now())
	if err != nil {
		rec.Explain(record.BadToken + reasonOf(err))
		w.Header().Set("WWW-Authenticate", `Bearer realm="caddy-ollama", error="invalid_token"`)
		return caddyhttp.Error(h.RejectedStatus, &openai.Error{
			Message: "invalid or expired token",
			Type:    openai.TypeInvalidRequest,
			Code:    openai.CodeInvalidAPIKey,
		})
	}
	rec.UserID = claims.Subject()
	publish(r, claims)
	return next.ServeHTTP(w, r)
}

// reasonOf is what the audit record says of a refused token.
func reasonOf(err error) string {
	if fault, ok := errors.AsType[token.Fault](err); ok {
		return string(fault)
	}
	return "unknown"
}

// publish makes the claims placeholders. Caddy's access log takes its user_id
// from the first.
func publish(r *http.Request, claims token.Claims) {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	repl.Set("http.auth.user.id", claims.Subject())
	for name, value := range claims {
		switch value.(type) {
		case string, float64, bool:
			if name != "id" && !strings.ContainsAny(name, "{}") {
				repl.Set("http.auth.user."+name, value)
			}
		}
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
