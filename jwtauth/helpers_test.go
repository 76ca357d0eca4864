package jwtauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

const (
	secret    = "canary-the-secret-of-these-tests-is-long-enough"
	oldSecret = "canary-the-old-secret-of-these-tests-is-long-too"
)

// now is what the clock of the handlers in these tests says.
var now = time.Unix(1_800_000_000, 0)

// provision makes a handler as Caddy does.
func provision(t testing.TB, config Handler) (*Handler, error) {
	t.Helper()
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.jwt_auth", data)
	if err != nil {
		return nil, err
	}
	handler := module.(*Handler)
	handler.now = func() time.Time { return now }
	return handler, nil
}

// secrets are HS256 keys of a configuration.
func secrets(values ...string) (list []Secret) {
	for _, value := range values {
		list = append(list, Secret{Value: value})
	}
	return list
}

func newHandler(t testing.TB, config Handler) *Handler {
	t.Helper()
	if config.Secrets == nil {
		config.Secrets = secrets(secret)
	}
	handler, err := provision(t, config)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// writeFile makes a file for the test and returns its name.
func writeFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "jwt.key")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// mint signs sound claims, changed or completed by more; nil takes one away.
func mint(t testing.TB, key string, more jwt.MapClaims) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": "clawdbot", "iat": now.Unix(), "exp": now.Unix() + 300}
	for name, value := range more {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	compact, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// answered is how the handler ended a request.
type answered struct {
	status int // 0 if the request was passed on
	header http.Header
	err    error
	record record.Record
	live   *record.Live // what is seen of it
	repl   *caddy.Replacer
	sent   *http.Request // as the client sent it, with what the handler did to it
	next   *http.Request // as the handler inside saw it
}

// ask sends a request with these Authorization headers through the handler.
func ask(t *testing.T, handler *Handler, authorization ...string) *answered {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil)
	for _, value := range authorization {
		r.Header.Add("Authorization", value)
	}
	return askWith(t, handler, r)
}

// askWith sends a request through the handler.
func askWith(t *testing.T, handler *Handler, r *http.Request) *answered {
	t.Helper()
	a := &answered{repl: caddy.NewReplacer()}
	a.live = a.record.Watch()
	r = caddyhttp.PrepareRequest(r, a.repl, nil, nil)
	r = r.WithContext(record.NewContext(r.Context(), &a.record))
	a.sent = r
	w := httptest.NewRecorder()
	a.err = handler.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		a.next = r
		return nil
	}))
	a.header = w.Header()
	if he, ok := errors.AsType[caddyhttp.HandlerError](a.err); ok {
		a.status = he.StatusCode
	}
	if (a.err == nil) != (a.next != nil) {
		t.Fatalf("error %v, passed on: %v; want one of them", a.err, a.next != nil)
	}
	return a
}
