package jwtauth

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/gateway18789/caddy-ollama/jwtauth/permit"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func bearer(t *testing.T, more jwt.MapClaims) string {
	t.Helper()
	return "Bearer " + mint(t, secret, more)
}

func TestATokenBelongsToACertificate(t *testing.T) {
	own, other := &x509.Certificate{Raw: []byte("own")}, &x509.Certificate{Raw: []byte("other")}
	bound := jwt.MapClaims{"cnf": map[string]any{"x5t#S256": token.Thumbprint(own)}}
	for _, test := range []struct {
		name        string
		binding     token.Binding
		claims      jwt.MapClaims
		certificate *x509.Certificate
		status      int
	}{
		{"its own", "", bound, own, 0},
		{"another's, unless the operator says it does not matter", "", bound, other, 403},
		{"which it does not where that is said", token.BindingOff, bound, other, 0},
		{"none, where that is required", token.BindingRequired, nil, own, 403},
		{"none, where it is not", "", nil, own, 0},
		{"its own, without TLS", "", bound, nil, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			handler := newHandler(t, Handler{BindCertificate: test.binding})
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.TLS = nil
			if test.certificate != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{test.certificate}}
			}
			r.Header.Set("Authorization", bearer(t, test.claims))
			a := askWith(t, handler, r)
			if a.status != test.status || test.status != 0 && a.record.Reason != "bad_token:certificate" {
				t.Errorf("status %d, reason %q", a.status, a.record.Reason)
			}
		})
	}
}

func TestATokenPassesOnceEvenOverAReload(t *testing.T) {
	once := func() *Handler { return newHandler(t, Handler{Replay: "once"}) }
	first := once()
	again := bearer(t, jwt.MapClaims{"jti": "1"})
	if a := ask(t, first, again); a.status != 0 {
		t.Fatalf("the first time: %d, %s", a.status, a.record.Reason)
	}
	if a := ask(t, first, again); a.status != 403 || a.record.Reason != "bad_token:replayed" {
		t.Errorf("the second time: %d, %s", a.status, a.record.Reason)
	}
	if a := ask(t, once(), again); a.status != 403 || a.record.Reason != "bad_token:replayed" {
		t.Errorf("after a reload: %d, %s", a.status, a.record.Reason)
	}
	if a := ask(t, first, bearer(t, nil)); a.status != 403 || a.record.Reason != "bad_token:claim" {
		t.Errorf("without a jti: %d, %s", a.status, a.record.Reason)
	}
	if a := ask(t, newHandler(t, Handler{}), again); a.status != 0 {
		t.Errorf("where replay is off: %d, %s", a.status, a.record.Reason)
	}
}

// Otherwise whoever sees a token could use it up before its owner does.
func TestATokenThatIsRefusedIsNotUsedUp(t *testing.T) {
	own := &x509.Certificate{Raw: []byte("own")}
	handler := newHandler(t, Handler{Replay: "once"})
	compact := bearer(t, jwt.MapClaims{"jti": "owned", "cnf": map[string]any{"x5t#S256": token.Thumbprint(own)}})
	if a := ask(t, handler, compact); a.status != 403 {
		t.Fatalf("without the certificate: %d", a.status)
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{own}}
	r.Header.Set("Authorization", compact)
	if a := askWith(t, handler, r); a.status != 0 {
		t.Errorf("its owner: %d, %s", a.status, a.record.Reason)
	}
}

func TestTheModelsClaimNarrows(t *testing.T) {
	for _, test := range []struct {
		name, claim string
		claims      jwt.MapClaims
		want        []string
	}{
		{"to those it lists", "models", jwt.MapClaims{"models": []string{"qwen3:*"}}, []string{"qwen3:*"}},
		{"to none where it is missing", "models", nil, []string{}},
		{"nothing where no claim does", "", jwt.MapClaims{"models": []string{"qwen3:*"}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := ask(t, newHandler(t, Handler{ModelsClaim: test.claim}), bearer(t, test.claims))
			if got := permit.Models(a.next.Context()); !slices.Equal(got, test.want) || (got == nil) != (test.want == nil) {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
		})
	}
}

func TestAMissingScopeIsTold(t *testing.T) {
	handler := newHandler(t, Handler{RejectedStatus: 401, Require: []token.Requirement{{Claim: "scope", Values: []string{"chat"}}}})
	a := ask(t, handler, bearer(t, jwt.MapClaims{"scope": "embed"}))
	if got := a.header.Get("WWW-Authenticate"); a.status != 403 || got != `Bearer realm="caddy-ollama", error="insufficient_scope", scope="chat"` {
		t.Errorf("%d, %q", a.status, got)
	}
	if a.record.Reason != "bad_token:scope" {
		t.Errorf("reason %q", a.record.Reason)
	}
	if a := ask(t, handler, bearer(t, jwt.MapClaims{"scope": "embed chat"})); a.status != 0 {
		t.Errorf("with the scope: %d", a.status)
	}
}

func TestPreflights(t *testing.T) {
	preflight := func(change func(http.Header)) *http.Request {
		r := httptest.NewRequest(http.MethodOptions, "/v1/chat/completions", nil)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", "POST")
		change(r.Header)
		return r
	}
	same := func(http.Header) {}
	allowing := newHandler(t, Handler{AllowPreflight: true})
	if a := askWith(t, allowing, preflight(same)); a.status != 0 {
		t.Errorf("a preflight: %d", a.status)
	}
	if a := askWith(t, newHandler(t, Handler{}), preflight(same)); a.status != 401 {
		t.Errorf("where they are not allowed: %d", a.status)
	}
	if a := askWith(t, allowing, preflight(func(h http.Header) { h.Del("Access-Control-Request-Method") })); a.status != 401 {
		t.Errorf("OPTIONS alone: %d", a.status)
	}
	post := preflight(same)
	post.Method = http.MethodPost
	if a := askWith(t, allowing, post); a.status != 401 {
		t.Errorf("POST with a preflight's headers: %d", a.status)
	}
}

func TestOnlyTheAllowedAlgorithms(t *testing.T) {
	both := []Secret{{Value: secret}, {Value: secret + oldSecret, Algorithm: "HS512"}}
	if _, err := provision(t, Handler{Secrets: both, Algorithms: []string{"HS512"}}); err == nil || !strings.Contains(err.Error(), "HS256") {
		t.Errorf("a key that can never serve: %v", err)
	}
	if _, err := provision(t, Handler{Secrets: secrets(secret), Algorithms: []string{"none"}}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no algorithm: %v", err)
	}
	handler := newHandler(t, Handler{Secrets: both, Algorithms: []string{"HS256", "HS512"}})
	if a := ask(t, handler, bearer(t, nil)); a.status != 0 {
		t.Errorf("HS256: %d, %s", a.status, a.record.Reason)
	}
}

// Within 5 s a key that was rotated away must be dead, and the new one live.
func TestAChangedFileCountsWithoutAReload(t *testing.T) {
	file := writeFile(t, secret)
	handler := newHandler(t, Handler{Secrets: secrets("{file." + file + "}")})
	ofNew := "Bearer " + mint(t, oldSecret, nil)
	if a := ask(t, handler, ofNew); a.status != 403 {
		t.Fatalf("before: %d", a.status)
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := handler.local.look("")
	if a := ask(t, handler, bearer(t, nil)); a.status != 0 || said == "" {
		t.Errorf("a bad file: %d, and it says %q", a.status, said)
	}
	if err := os.WriteFile(file, []byte(oldSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for ask(t, handler, ofNew).status != 0 {
		if time.Now().After(deadline) {
			t.Fatal("after 5 s the new key does not count")
		}
		time.Sleep(20 * time.Millisecond) // it is time itself that is tested
	}
	if a := ask(t, handler, bearer(t, nil)); a.status != 403 {
		t.Errorf("the old key still counts: %d", a.status)
	}
}
