package jwtauth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"
)

// provisionMinter makes a jwt_mint as Caddy does.
func provisionMinter(t *testing.T, config Minter) (*Minter, error) {
	t.Helper()
	data, err := json.Marshal(&config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.jwt_mint", data)
	if err != nil {
		return nil, err
	}
	m := module.(*Minter)
	m.now = func() time.Time { return now }
	return m, nil
}

// newMinter is one with the secret of these tests and the subject clawdbot, unless
// the configuration says otherwise.
func newMinter(t *testing.T, config Minter) *Minter {
	t.Helper()
	if config.Secret.Value == "" && config.PrivateKey.File == "" {
		config.Secret.Value = secret
	}
	if config.Subject == "" {
		config.Subject = "clawdbot"
	}
	m, err := provisionMinter(t, config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// send sends a request with these headers through jwt_mint and returns the headers
// with which it goes on.
func send(t *testing.T, m *Minter, header http.Header) http.Header {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	var passed http.Header
	err := m.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		passed = r.Header
		return nil
	}))
	if err != nil || passed == nil {
		t.Fatalf("passed on: %v, error: %v", passed != nil, err)
	}
	return passed
}

// sent is the token that goes on with a request.
func sent(t *testing.T, m *Minter) string {
	t.Helper()
	scheme, compact, _ := strings.Cut(send(t, m, nil).Get("Authorization"), " ")
	if scheme != "Bearer" {
		t.Fatalf("the scheme is %q", scheme)
	}
	return compact
}

// claimsOf reads a token of the secret of these tests by another library than ours.
func claimsOf(t *testing.T, compact string) jwt.MapClaims {
	t.Helper()
	return parsed(t, compact, []byte(secret)).Claims.(jwt.MapClaims)
}

func parsed(t *testing.T, compact string, key any) *jwt.Token {
	t.Helper()
	parsed, err := jwt.Parse(compact, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithStrictDecoding())
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestAMintedTokenIsLetInByJWTAuth(t *testing.T) {
	m := newMinter(t, Minter{Issuer: "sidecar", Audience: []string{"x", "ollama"}})
	a := ask(t, newHandler(t, Handler{Issuer: "sidecar", Audience: "ollama"}), send(t, m, nil)["Authorization"]...)
	if a.err != nil || a.record.UserID != "clawdbot" {
		t.Errorf("%v (%s), user %q", a.err, a.record.Reason, a.record.UserID)
	}
}

// With no leeway a token must be right on both hosts' clocks: neither issued in the
// future of the one nor older than the other allows.
func TestAMintedTokenAllowsForClocksThatDiffer(t *testing.T) {
	authorization := send(t, newMinter(t, Minter{}), nil)["Authorization"]
	for _, test := range []struct {
		gatewayAhead time.Duration
		status       int
	}{
		{-6 * time.Second, 403}, {-5 * time.Second, 0}, {-time.Millisecond, 0}, {0, 0}, {290 * time.Second, 0}, {295 * time.Second, 403},
	} {
		handler := newHandler(t, Handler{})
		handler.now = func() time.Time { return now.Add(test.gatewayAhead) }
		if a := ask(t, handler, authorization...); a.status != test.status {
			t.Errorf("a gateway that is %v ahead answers %d, want %d (0: lets it in)", test.gatewayAhead, a.status, test.status)
		}
	}
}

func TestAMintedTokenSaysWhatIsConfigured(t *testing.T) {
	t.Setenv("CADDY_OLLAMA_TEST_SUBJECT", "from-the-environment")
	file := writeFile(t, "from-a-file\n")
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, test := range []struct {
		name   string
		config Minter
		want   string // but for jti
	}{
		{"a subject is enough", Minter{}, `{"exp":1800000295,"iat":1799999995,"sub":"clawdbot"}`},
		{"ttl", Minter{TTL: caddy.Duration(time.Minute)}, `{"exp":1800000055,"iat":1799999995,"sub":"clawdbot"}`},
		{"issuer and audience", Minter{Issuer: "a", Audience: []string{"b"}},
			`{"aud":"b","exp":1800000295,"iat":1799999995,"iss":"a","sub":"clawdbot"}`},
		{"several audiences", Minter{Audience: []string{"b", "c"}},
			`{"aud":["b","c"],"exp":1800000295,"iat":1799999995,"sub":"clawdbot"}`},
		{"more claims, as JSON has them", Minter{Claims: map[string]json.RawMessage{
			"scope": raw(`"chat embed"`), "level": raw(`12345678901234567`), "models": raw(`["a","b"]`), "admin": raw(`false`)}},
			`{"admin":false,"exp":1800000295,"iat":1799999995,"level":12345678901234567,"models":["a","b"],"scope":"chat embed","sub":"clawdbot"}`},
		{"placeholders are resolved in texts", Minter{
			Subject: "{env.CADDY_OLLAMA_TEST_SUBJECT}", Issuer: "{file." + file + "}", Audience: []string{"{env.CADDY_OLLAMA_TEST_SUBJECT}"},
			Claims: map[string]json.RawMessage{"team": raw(`"{file.` + file + `}"`), "list": raw(`["{file.x}"]`)}},
			`{"aud":"from-the-environment","exp":1800000295,"iat":1799999995,"iss":"from-a-file","list":["{file.x}"],` +
				`"sub":"from-the-environment","team":"from-a-file"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := payloadOf(t, sent(t, newMinter(t, test.config)))
			if jti := got["jti"]; len(jti) < 22 {
				t.Errorf("jti is %s", jti)
			}
			delete(got, "jti")
			if got, err := json.Marshal(got); err != nil || string(got) != test.want {
				t.Errorf("claims are\n%s, want\n%s", got, test.want)
			}
		})
	}
}

// payloadOf has each claim as it is written.
func payloadOf(t *testing.T, compact string) (claims map[string]json.RawMessage) {
	t.Helper()
	data, err := jwt.NewParser().DecodeSegment(strings.Split(compact, ".")[1])
	if err == nil {
		err = json.Unmarshal(data, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestTheHeaderHasTheKeyID(t *testing.T) {
	for _, kid := range []string{"", "2026-11"} {
		header := parsed(t, sent(t, newMinter(t, Minter{KeyID: kid})), []byte(secret)).Header
		if got, present := header["kid"]; present != (kid != "") || present && got != kid {
			t.Errorf("key_id %q: the header is %v", kid, header)
		}
	}
}

func TestCredentialsOfTheCallerGoNoFurther(t *testing.T) {
	passed := send(t, newMinter(t, Minter{}), http.Header{
		"Authorization":  {"Bearer canary-1", "Basic canary-2"},
		"X-Api-Key":      {"canary-3"},
		"Api-Key":        {"canary-4", "canary-5"},
		"X-Goog-Api-Key": {"canary-6"},
		"Content-Type":   {"application/json"},
	})
	if n := len(passed["Authorization"]); n != 1 || strings.Contains(fmt.Sprint(passed), "canary") {
		t.Errorf("there are %d Authorization headers among %v", n, passed)
	}
	if passed.Get("Content-Type") != "application/json" {
		t.Error("another header is gone")
	}
}

func TestEveryRequestHasAFreshToken(t *testing.T) {
	m := newMinter(t, Minter{})
	var mu sync.Mutex
	seen := make(map[string]bool)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				jti := fmt.Sprint(claimsOf(t, sent(t, m))["jti"])
				mu.Lock()
				seen[jti] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(seen) != 400 {
		t.Errorf("400 requests have %d different jti", len(seen))
	}
}

func TestReuse(t *testing.T) {
	m := newMinter(t, Minter{Reuse: caddy.Duration(time.Minute)})
	at := func(second int) string {
		m.now = func() time.Time { return now.Add(time.Duration(second) * time.Second) }
		return sent(t, m)
	}
	first := at(0)
	if at(0) != first || at(59) != first {
		t.Error("a token is not used again")
	}
	second := at(60)
	if second == first {
		t.Error("a token is used for longer than reuse says")
	}
	if at(119) != second {
		t.Error("the second token is not used again")
	}
	// with the clock set back, nobody knows how old the token really is
	if at(59) == second {
		t.Error("a token from the future is used")
	}
}

func TestReuseIsShared(t *testing.T) {
	m := newMinter(t, Minter{Reuse: caddy.Duration(time.Minute)})
	tokens := make([]string, 16)
	var group sync.WaitGroup
	for i := range tokens {
		group.Go(func() { tokens[i] = sent(t, m) })
	}
	group.Wait()
	for _, token := range tokens {
		if token != tokens[0] {
			t.Fatal("requests at one time have different tokens")
		}
	}
}
