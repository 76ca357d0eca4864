package ollamadoctor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/jwtauth"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// subject is who the tokens speak for that are made with a gateway's secret.
const subject = "ollama-doctor"

// badKey is why a key that the configuration names makes no tokens.
type badKey string

func (k badKey) Error() string { return string(k) }

// mint makes a token for this site: as its jwt_mint does, or else such that its
// jwt_auth takes it. It may be bound to the client certificate in a file.
func (s site) mint(certificate string) (string, error) {
	minter, err := s.minter(certificate)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(minter)
	if err != nil {
		return "", err
	}
	ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer end()
	module, err := ctx.LoadModuleByID("http.handlers.jwt_mint", data)
	if err != nil {
		// what it says of itself is of no use to who has a jwt_auth
		return "", badKey(strings.TrimPrefix(err.Error(), "provision http.handlers.jwt_mint: jwt_mint: "))
	}
	// what it does for a request that passes, it does for one that goes nowhere
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	nowhere := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	if err := module.(caddyhttp.MiddlewareHandler).ServeHTTP(httptest.NewRecorder(), r, nowhere); err != nil {
		return "", err
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), nil
}

func (s site) minter(certificate string) (jwtauth.Minter, error) {
	var minter jwtauth.Minter
	if h := s.first("jwt_mint"); h != nil {
		return minter, h.into(&minter)
	}
	h := s.first("jwt_auth")
	if h == nil {
		return minter, errors.New("it has no jwt_auth")
	}
	var auth jwtauth.Handler
	if err := h.into(&auth); err != nil {
		return minter, err
	}
	switch {
	case len(auth.Secrets) == 0:
		return minter, errors.New("jwt_auth has no secret here, only public keys")
	case len(auth.Require) > 0 || auth.ModelsClaim != "":
		return minter, errors.New("jwt_auth wants claims that only the one who issues tokens knows")
	}
	minter = jwtauth.Minter{Secret: auth.Secrets[0], Subject: subject, Issuer: auth.Issuer}
	if auth.MaxLifetime > 0 {
		minter.TTL = min(auth.MaxLifetime, caddy.Duration(5*time.Minute))
	}
	if auth.Audience != "" {
		minter.Audience = []string{auth.Audience}
	}
	if auth.BindCertificate == token.BindingRequired {
		minter.Certificate = certificate
	}
	return minter, nil
}
