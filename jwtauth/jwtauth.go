// Package jwtauth provides the jwt_auth handler and the `caddy jwt` command.
package jwtauth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/permit"
	"github.com/gateway18789/caddy-ollama/jwtauth/replay"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ratelimit/redisconfig"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler lets a request pass only with a JSON Web Token that is signed with a key of
// ours, names its subject, and lives no longer than allowed.
//
// A request with no bearer token is answered 401; one whose token fails, for
// whatever reason, gets `rejected_status` and always the same body. The reason is
// in the audit record only. A token that is sound but lacks a required scope is
// answered 403, and told which.
//
// The token's subject becomes `{http.auth.user.id}`, each plain claim
// `{http.auth.user.<claim>}`. The Authorization header goes no further.
type Handler struct {
	// The secrets that tokens are signed with. Several, so that one can be rotated
	// while the tokens signed with the old one still live. Placeholders are resolved
	// at load; files that change count within seconds.
	Secrets []Secret `json:"secret,omitempty"`
	// Files with public keys, likewise.
	PublicKeys []PublicKey `json:"public_key,omitempty"`
	// Keys that an identity provider publishes. They are fetched when the first token
	// comes that may be theirs and that no local key has signed, and again in the
	// background; while the provider is down the last ones serve for an hour. Without any,
	// those tokens are refused, but are neither forged nor errors of their clients.
	JWKS *JWKS `json:"jwks,omitempty"`
	// The algorithms that tokens may be signed with. Default: those of the keys.
	Algorithms []string `json:"algorithms,omitempty"`
	// The longest life of a token, both claimed and lived. Default: 5m.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`
	// How far the issuer's clock may be off, at most 30s. Default: 0. It does not
	// stretch `max_lifetime`.
	Leeway caddy.Duration `json:"leeway,omitempty"`
	// The `iss` a token must have. Default: any.
	Issuer string `json:"issuer,omitempty"`
	// An `aud` a token must have. Default: any.
	Audience string `json:"audience,omitempty"`
	// Claims that a token must have, with one of these values if there are any. The
	// values of `scope` are its words.
	Require []token.Requirement `json:"require,omitempty"`
	// Whether a token must belong to the client's certificate, by its claim
	// `cnf.x5t#S256` (RFC 8705): `off`, `optional` (if it has the claim) or
	// `required`. Default: `optional`.
	BindCertificate token.Binding `json:"bind_certificate,omitempty"`
	// Whether a token passes more than once: `off`, or `once`, for which it needs a
	// `jti`. Default: `off`.
	Replay string `json:"replay,omitempty"`
	// Lets gateways share, in Redis or Valkey, which tokens have passed `replay once`.
	// Not set: each has a memory of its own.
	Redis *redisconfig.Options `json:"redis,omitempty"`
	// What happens while Redis does not answer: `local`, a token passes each gateway
	// once; `refuse`, no token passes, and clients are told 503. Default: `local`.
	OnStoreFailure string `json:"on_store_failure,omitempty"`
	// The claim that lists the models its user may ask for, as names in which *
	// stands for anything; without the claim there are none. Default: no claim does.
	ModelsClaim string `json:"models_claim,omitempty"`
	// Lets the preflight requests of browsers pass, which never have a token.
	// Default: false.
	AllowPreflight bool `json:"allow_preflight,omitempty"`
	// The status for a token that fails: 403 or 401. Default: 403.
	RejectedStatus int `json:"rejected_status,omitempty"`
	// Where the Caddyfile has this handler, for messages. The keys are read only
	// where Caddy runs, so a missing one is found long after the line was read.
	Source string `json:"source,omitempty"`

	verifier token.Verifier
	local    *localKeys
	replayed memory
	pooled   []string // what is to be given back to the pool
	now      func() time.Time
}

const (
	maxLeeway   = caddy.Duration(30 * time.Second)
	maxLifetime = caddy.Duration(24 * time.Hour)
)

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.jwt_auth",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision reads the keys.
func (h *Handler) Provision(ctx caddy.Context) error {
	if h.MaxLifetime == 0 {
		h.MaxLifetime = caddy.Duration(5 * time.Minute)
	}
	if h.BindCertificate == "" {
		h.BindCertificate = token.BindingOptional
	}
	if h.Replay == "" {
		h.Replay = "off"
	}
	if h.RejectedStatus == 0 {
		h.RejectedStatus = http.StatusForbidden
	}
	if h.now == nil {
		h.now = time.Now
	}
	h.local = &localKeys{secrets: h.Secrets, public: h.PublicKeys, logger: ctx.Logger()}
	if err := h.local.load(); err != nil {
		return fmt.Errorf("jwt_auth%s: %w", h.at(), err)
	}
	var remote key.Source
	if h.JWKS != nil {
		keys, poolKey, err := h.JWKS.source()
		if err != nil {
			return fmt.Errorf("jwt_auth%s: jwks: %w", h.at(), err)
		}
		h.pooled = append(h.pooled, poolKey)
		remote = h.allowed(keys)
	}
	if h.Redis != nil {
		if err := h.Redis.Check(); err != nil {
			return err
		}
	}
	if h.Replay == "once" {
		memory, poolKey, err := h.replayMemory(ctx.Logger())
		if err != nil {
			return fmt.Errorf("jwt_auth%s: %w", h.at(), err)
		}
		h.pooled = append(h.pooled, poolKey)
		h.replayed = memory
	}
	h.verifier = token.Verifier{
		Keys:        h.allowed(h.local),
		Remote:      remote,
		MaxLifetime: time.Duration(h.MaxLifetime),
		Leeway:      time.Duration(h.Leeway),
		Issuer:      h.Issuer,
		Audience:    h.Audience,
		Required:    h.Require,
	}
	h.local.watch()
	return nil
}

// allowed are the keys of the allowed algorithms.
func (h *Handler) allowed(keys key.Source) key.Source {
	if len(h.Algorithms) == 0 {
		return keys
	}
	algorithms := make(map[string]bool)
	for _, algorithm := range h.Algorithms {
		algorithms[key.Canonical(algorithm)] = true
	}
	return only{keys, algorithms}
}

// Validate refuses a configuration that would let the wrong ones in.
func (h *Handler) Validate() error {
	switch {
	case len(h.Secrets) == 0 && len(h.PublicKeys) == 0 && h.JWKS == nil:
		return errors.New("no key: name one, such as secret {file./etc/caddy-ollama/jwt.key}")
	case h.MaxLifetime < 0 || h.MaxLifetime > maxLifetime:
		return errors.New("max_lifetime must lie between 1s and 24h, such as 5m")
	case h.Leeway < 0 || h.Leeway > maxLeeway:
		return errors.New("leeway must lie between 0 and 30s")
	case h.RejectedStatus != http.StatusForbidden && h.RejectedStatus != http.StatusUnauthorized:
		return fmt.Errorf("rejected_status %d: it must be 403 or 401", h.RejectedStatus)
	case h.Replay != "off" && h.Replay != "once":
		return fmt.Errorf("replay %q: it must be off or once", h.Replay)
	case h.Redis != nil && h.Replay != "once":
		return errors.New("store redis is for replay once")
	case h.OnStoreFailure != "" && h.Redis == nil:
		return errors.New("on_store_failure: only store redis can fail")
	case h.OnStoreFailure != "" && h.OnStoreFailure != "local" && h.OnStoreFailure != "refuse":
		return fmt.Errorf("on_store_failure %q: it must be local or refuse", h.OnStoreFailure)
	case !slices.Contains([]token.Binding{token.BindingOff, token.BindingOptional, token.BindingRequired}, h.BindCertificate):
		return fmt.Errorf("bind_certificate %q: it must be off, optional or required", h.BindCertificate)
	}
	for _, algorithm := range h.Algorithms {
		if !slices.Contains(key.Algorithms, key.Canonical(algorithm)) {
			return fmt.Errorf("algorithms: %q is none of %s", algorithm, strings.Join(key.Algorithms, ", "))
		}
	}
	if len(h.Algorithms) > 0 {
		for _, k := range *h.local.set.Load() {
			if !slices.ContainsFunc(h.Algorithms, func(a string) bool { return key.Canonical(a) == k.Algorithm }) {
				return fmt.Errorf("algorithms: there is a key for %s, which is not among them", k.Algorithm)
			}
		}
	}
	for _, r := range h.Require {
		if r.Claim == "" {
			return errors.New("require: name a claim")
		}
	}
	return nil
}

// Cleanup stops looking at files, and gives back what another configuration may go on
// with.
func (h *Handler) Cleanup() error {
	if h.local != nil {
		h.local.stop()
	}
	var failed error
	for _, poolKey := range h.pooled {
		_, err := pool.Delete(poolKey)
		failed = errors.Join(failed, err)
	}
	return failed
}

// at says where the Caddyfile has this handler, if it comes from one.
func (h *Handler) at() string {
	if h.Source == "" {
		return ""
	}
	return " at " + h.Source
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.AllowPreflight && isPreflight(r) {
		return next.ServeHTTP(w, r)
	}
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
	claims, err := h.verify(r, compact)
	if errors.Is(err, token.MissingScope) {
		rec.Explain(record.BadToken + reasonOf(err))
		w.Header().Set("WWW-Authenticate", `Bearer realm="caddy-ollama", error="insufficient_scope", scope="`+h.scopes()+`"`)
		return caddyhttp.Error(http.StatusForbidden, &openai.Error{
			Message: "the token does not permit this",
			Type:    openai.TypePermission,
			Code:    "insufficient_scope",
		})
	}
	if errors.Is(err, replay.ErrUnavailable) || errors.Is(err, replay.ErrFull) {
		rec.Explain(record.StoreUnavailable)
		return undecided(w, err)
	}
	if err != nil {
		rec.Explain(record.BadToken + reasonOf(err))
		w.Header().Set("WWW-Authenticate", `Bearer realm="caddy-ollama", error="invalid_token"`)
		return caddyhttp.Error(h.RejectedStatus, refusal{&openai.Error{
			Message: "invalid or expired token",
			Type:    openai.TypeInvalidRequest,
			Code:    openai.CodeInvalidAPIKey,
		}, err})
	}
	rec.UserID = claims.Subject()
	rec.Show()
	publish(r, claims)
	if h.ModelsClaim != "" {
		r = r.WithContext(permit.WithModels(r.Context(), claims.Globs(h.ModelsClaim)))
	}
	return next.ServeHTTP(w, r)
}

// verify checks the token, and that it is shown by whom it belongs to.
func (h *Handler) verify(r *http.Request, compact string) (token.Claims, error) {
	now := h.now()
	claims, err := h.verifier.Verify(r.Context(), compact, now)
	if err != nil {
		return nil, err
	}
	if fault := claims.CheckBinding(h.BindCertificate, certificateOf(r)); fault != "" {
		return nil, fault
	}
	if h.replayed == nil {
		return claims, nil
	}
	// last, so that nobody can use up a token that is not his
	jti, _ := claims["jti"].(string)
	if jti == "" {
		return nil, token.MissingClaim
	}
	issuer, _ := claims["iss"].(string)
	first, err := h.replayed.First(issuer, jti, now.Add(time.Duration(h.MaxLifetime+h.Leeway)), now)
	if err != nil {
		return nil, err
	}
	if !first {
		return nil, token.Replayed
	}
	return claims, nil
}

// certificateOf is the client's certificate, which it has proved to be its own; nil
// if there is none.
func certificateOf(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// isPreflight reports whether a browser asks what it may ask.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// scopes are those that are required, as RFC 6750 section 3 wants to have them.
func (h *Handler) scopes() string {
	var scopes []string
	for _, r := range h.Require {
		if r.IsScope() {
			scopes = append(scopes, r.Values...)
		}
	}
	return strings.Join(scopes, " ")
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
	repl.Set(claimPrefix+"id", claims["sub"])
	for name, value := range claims {
		switch value.(type) {
		case string, float64, bool:
			if name != "id" && !strings.ContainsAny(name, "{}") {
				repl.Set(placeholder(name), value)
			}
		}
	}
}

// placeholder is the name of a claim as a placeholder.
func placeholder(claim string) string {
	if usual, ok := usualPlaceholders[claim]; ok {
		return usual
	}
	return claimPrefix + claim
}

const claimPrefix = "http.auth.user."

// usualPlaceholders are those of the claims that nearly every token has.
var usualPlaceholders = map[string]string{
	"iss": claimPrefix + "iss", "sub": claimPrefix + "sub", "exp": claimPrefix + "exp", "nbf": claimPrefix + "nbf",
	"iat": claimPrefix + "iat", "jti": claimPrefix + "jti", "scope": claimPrefix + "scope",
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
