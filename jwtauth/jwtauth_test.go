package jwtauth

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

func TestWithoutBearerTokenTheAnswerIs401(t *testing.T) {
	for _, test := range []struct {
		name          string
		authorization []string
	}{
		{"no Authorization header", nil},
		{"an empty one", []string{""}},
		{"Basic", []string{"Basic dXNlcjpwYXNz"}},
		{"Digest", []string{`Digest username="x"`}},
		{"a bare token without scheme", []string{"canary-token"}},
		{"a scheme that begins like Bearer", []string{"Bearerx canary-token"}},
		{"the scheme and no token, as a client with an empty API key sends", []string{"Bearer"}},
		{"the scheme and blanks", []string{"Bearer  "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, rejected := range []int{0, 401, 403} {
				a := ask(t, newHandler(t, Handler{RejectedStatus: rejected}), test.authorization...)
				if a.status != 401 {
					t.Errorf("status %d, want 401 whatever rejected_status is", a.status)
				}
				// RFC 6750 section 3.1: no error code for who has not tried
				if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") || strings.Contains(got, "error") {
					t.Errorf("WWW-Authenticate is %q", got)
				}
				if a.record.Reason != "no_token" {
					t.Errorf("the record's reason is %q, want no_token", a.record.Reason)
				}
				if a.sent.Header.Values("Authorization") != nil {
					t.Error("the request keeps its Authorization header")
				}
			}
		})
	}
}

func TestAGoodTokenIsLetIn(t *testing.T) {
	good := mint(t, secret, nil)
	for _, authorization := range []string{
		"Bearer " + good, "bearer " + good, "BEARER " + good, "bEaReR " + good, "Bearer   " + good,
	} {
		a := ask(t, newHandler(t, Handler{}), authorization)
		if a.next == nil {
			t.Errorf("%.10s: refused: %v", authorization, a.err)
			continue
		}
		if a.next.Header.Values("Authorization") != nil {
			t.Errorf("%.10s: the handler inside sees the Authorization header", authorization)
		}
		if shown := a.live.Shown().UserID; shown != "clawdbot" {
			t.Errorf("while the request goes on, its user is seen as %q", shown)
		}
		if a.record.UserID != "clawdbot" || a.record.Reason != "" {
			t.Errorf("the record has user %q and reason %q, want clawdbot and none yet", a.record.UserID, a.record.Reason)
		}
	}
}

// A refused token is answered alike, whatever is wrong with it; the record alone
// says what.
func TestARefusedToken(t *testing.T) {
	sound := func(more jwt.MapClaims) string {
		claims := jwt.MapClaims{"iss": "idp", "aud": "ollama"}
		maps.Copy(claims, more)
		return "Bearer " + mint(t, secret, claims)
	}
	bearer := sound(nil)
	tests := []struct {
		name          string
		authorization []string
		reason        string
	}{
		{"expired", []string{sound(jwt.MapClaims{"iat": now.Unix() - 200, "exp": now.Unix()})}, "expired"},
		{"not yet valid", []string{sound(jwt.MapClaims{"iat": now.Unix() + 1})}, "not_yet_valid"},
		{"too long a life", []string{sound(jwt.MapClaims{"exp": now.Unix() + 301})}, "lifetime"},
		{"no exp", []string{sound(jwt.MapClaims{"exp": nil})}, "claims"},
		{"no subject", []string{sound(jwt.MapClaims{"sub": nil})}, "subject"},
		{"another issuer", []string{sound(jwt.MapClaims{"iss": "x"})}, "issuer"},
		{"another audience", []string{sound(jwt.MapClaims{"aud": "x"})}, "audience"},
		{"another algorithm", []string{"Bearer eyJhbGciOiJub25lIn0.e30.AA"}, "algorithm"},
		{"another secret", []string{"Bearer " + mint(t, oldSecret, nil)}, "signature"},
		{"no token at all", []string{"Bearer canary"}, "malformed"},
		{"something behind the token", []string{bearer + " x"}, "malformed"},
		{"two tokens in one header", []string{bearer + ", " + bearer}, "malformed"},
		{"two headers with the same good token", []string{bearer, bearer}, "malformed"},
		{"a good token and Basic", []string{bearer, "Basic dXNlcjpwYXNz"}, "malformed"},
		{"Basic and a good token", []string{"Basic dXNlcjpwYXNz", bearer}, "malformed"},
	}
	for _, status := range []int{0, 403, 401} {
		handler := newHandler(t, Handler{RejectedStatus: status, Issuer: "idp", Audience: "ollama"})
		want := status
		if want == 0 {
			want = 403
		}
		var first *answered
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				a := ask(t, handler, test.authorization...)
				if a.status != want {
					t.Fatalf("status %d, want %d", a.status, want)
				}
				if got := a.record.Reason; got != "bad_token:"+test.reason {
					t.Errorf("the record's reason is %q, want bad_token:%s", got, test.reason)
				}
				if a.record.UserID != "" {
					t.Errorf("the record names the user %q, who is not proven", a.record.UserID)
				}
				if a.sent.Header.Values("Authorization") != nil {
					t.Error("the request keeps its Authorization header")
				}
				if first == nil {
					first = a
				}
				if got, want := bodyOf(t, a), bodyOf(t, first); got != want {
					t.Errorf("body is %s, want it to be always the same: %s", got, want)
				}
				if got, want := a.header.Get("WWW-Authenticate"), first.header.Get("WWW-Authenticate"); got != want {
					t.Errorf("WWW-Authenticate is %s, want it to be always the same: %s", got, want)
				}
				for _, canary := range append(test.authorization, "canary", "clawdbot") {
					if strings.Contains(a.err.Error(), canary) {
						t.Errorf("the error contains %q: %v", canary, a.err)
					}
				}
			})
		}
	}
}

// bodyOf is the body that openai_error answers with.
func bodyOf(t *testing.T, a *answered) string {
	t.Helper()
	e, ok := errors.AsType[*openai.Error](a.err)
	if !ok {
		t.Fatalf("the error is none in OpenAI's shape: %v", a.err)
	}
	if e.Code != "invalid_api_key" || e.Type != "invalid_request_error" {
		t.Errorf("code %q and type %q", e.Code, e.Type)
	}
	return string(e.JSON())
}

func TestPlaceholders(t *testing.T) {
	a := ask(t, newHandler(t, Handler{}), "Bearer "+mint(t, secret, jwt.MapClaims{
		"id":        "admin",
		"team":      "research",
		"admin":     true,
		"level":     7.5,
		"nothing":   nil,
		"groups":    []string{"a"},
		"nested":    map[string]any{"a": "b"},
		"brace}":    "x",
		"expansion": "{env.HOME}{http.auth.user.id}",
	}))
	if a.err != nil {
		t.Fatal(a.err)
	}
	for placeholder, want := range map[string]string{
		"{http.auth.user.id}":        "clawdbot", // the subject's, whatever a claim of that name says
		"{http.auth.user.sub}":       "clawdbot",
		"{http.auth.user.exp}":       "1800000300",
		"{http.auth.user.team}":      "research",
		"{http.auth.user.admin}":     "true",
		"{http.auth.user.level}":     "7.5",
		"{http.auth.user.groups}":    "",
		"{http.auth.user.nested}":    "",
		"{http.auth.user.expansion}": "{env.HOME}{http.auth.user.id}", // never expanded twice
	} {
		if got := a.repl.ReplaceAll(placeholder, ""); got != want {
			t.Errorf("%s is %q, want %q", placeholder, got, want)
		}
	}
	if _, known := a.repl.Get("http.auth.user.brace}"); known {
		t.Error("a claim with a brace in its name is a placeholder")
	}
}

func TestARefusedTokenSetsNoPlaceholder(t *testing.T) {
	a := ask(t, newHandler(t, Handler{}), "Bearer "+mint(t, oldSecret, nil))
	for _, name := range []string{"http.auth.user.id", "http.auth.user.sub"} {
		if value, known := a.repl.Get(name); known {
			t.Errorf("%s is %v", name, value)
		}
	}
}

func TestRotation(t *testing.T) {
	ofOld, ofNew := "Bearer "+mint(t, oldSecret, nil), "Bearer "+mint(t, secret, nil)
	during := newHandler(t, Handler{Secrets: secrets(secret, oldSecret)})
	if a, b := ask(t, during, ofOld), ask(t, during, ofNew); a.err != nil || b.err != nil {
		t.Errorf("during a rotation: %v, %v; want both secrets to count", a.err, b.err)
	}
	after := newHandler(t, Handler{Secrets: secrets(secret)})
	if a, b := ask(t, after, ofOld), ask(t, after, ofNew); a.status != 403 || b.err != nil {
		t.Errorf("after a rotation: %v, %v; want the old secret to count no more", a.err, b.err)
	}
}

func TestWithoutAuditLogTheHandlerWorks(t *testing.T) {
	handler := newHandler(t, Handler{})
	r := caddyhttp.PrepareRequest(httptest.NewRequest("GET", "/v1/models", nil), caddy.NewReplacer(), nil, nil)
	r.Header.Set("Authorization", "Bearer "+mint(t, secret, nil))
	passed := false
	err := handler.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		passed = true
		return nil
	}))
	if err != nil || !passed {
		t.Errorf("passed on: %v, error: %v", passed, err)
	}
}

func TestOptionsReachTheVerifier(t *testing.T) {
	late := func(more jwt.MapClaims) string { return "Bearer " + mint(t, secret, more) }
	for _, test := range []struct {
		name   string
		config Handler
		token  string
		status int
	}{
		{"max_lifetime shorter than usual", Handler{MaxLifetime: caddy.Duration(60e9)}, late(nil), 403},
		{"max_lifetime longer than usual", Handler{MaxLifetime: caddy.Duration(3600e9)},
			late(jwt.MapClaims{"exp": now.Unix() + 3600}), 0},
		{"no leeway unless asked for", Handler{}, late(jwt.MapClaims{"iat": now.Unix() + 5}), 403},
		{"leeway", Handler{Leeway: caddy.Duration(5e9)}, late(jwt.MapClaims{"iat": now.Unix() + 5}), 0},
		{"issuer", Handler{Issuer: "idp"}, late(jwt.MapClaims{"iss": "idp"}), 0},
		{"audience", Handler{Audience: "ollama"}, late(jwt.MapClaims{"aud": []string{"x", "ollama"}}), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if a := ask(t, newHandler(t, test.config), test.token); a.status != test.status {
				t.Errorf("status %d, want %d (0: passed on); the record says %s", a.status, test.status, a.record.Reason)
			}
		})
	}
}

func TestEveryClaimHasItsOwnPlaceholder(t *testing.T) {
	for _, claim := range []string{"iss", "sub", "exp", "nbf", "iat", "jti", "scope", "department"} {
		if got := placeholder(claim); got != "http.auth.user."+claim {
			t.Errorf("%s is %s", claim, got)
		}
	}
}
