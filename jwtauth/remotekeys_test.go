package jwtauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// provider is an identity provider with one key.
type provider struct {
	*httptest.Server
	key     *key.Key
	down    atomic.Bool
	fetches atomic.Int32
}

func newProvider(t *testing.T) (p *provider, config *JWKS) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p = new(provider)
	if p.key, err = key.Private(private, ""); err != nil {
		t.Fatal(err)
	}
	p.key.ID = "k1"
	set, err := key.MarshalJWKS([]*key.Key{p.key})
	if err != nil {
		t.Fatal(err)
	}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.fetches.Add(1)
		if p.down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(set)
	}))
	t.Cleanup(p.Close)
	ca := writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})))
	return p, &JWKS{URL: p.URL, CA: ca}
}

func (p *provider) bearer(t *testing.T) string {
	t.Helper()
	return bearerOf(t, p.key)
}

func bearerOf(t *testing.T, k *key.Key) string {
	t.Helper()
	compact, err := token.Issue(k, token.Claims{"sub": "clawdbot", "iat": now.Unix(), "exp": now.Unix() + 300})
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + compact
}

func TestTheKeysOfAProvider(t *testing.T) {
	p, config := newProvider(t)
	handler := newHandler(t, Handler{JWKS: config})
	if n := p.fetches.Load(); n != 0 {
		t.Errorf("the provider was asked %d times while the configuration was loaded", n)
	}
	if a := ask(t, handler, p.bearer(t)); a.status != 0 {
		t.Errorf("a token of the provider's: %d, %s", a.status, a.record.Reason)
	}
	if a := ask(t, handler, bearer(t, nil)); a.status != 0 {
		t.Errorf("a token of our own secret: %d, %s", a.status, a.record.Reason)
	}
	// what a reload gets, though the provider is down
	p.down.Store(true)
	if a := ask(t, newHandler(t, Handler{JWKS: config}), p.bearer(t)); a.status != 0 {
		t.Errorf("after a reload: %d, %s", a.status, a.record.Reason)
	}
	limited := newHandler(t, Handler{JWKS: config, Algorithms: []string{"HS256"}})
	if a := ask(t, limited, p.bearer(t)); a.status != 403 || a.record.Reason != "bad_token:algorithm" {
		t.Errorf("an algorithm that is not allowed: %d, %s", a.status, a.record.Reason)
	}
}

func TestAProviderThatCannotBeRight(t *testing.T) {
	_, config := newProvider(t)
	for _, test := range []struct {
		name, url, ca, want string
	}{
		{"over http", "http://idp.example.com/keys", "", "https"},
		{"of an unknown place", "{env.CADDY_OLLAMA_TEST_UNSET}", "", "URL"},
		{"with a CA that is not there", config.URL, "/nowhere/ca.crt", "ca"},
		{"with a CA that is none", config.URL, writeFile(t, "no PEM"), "no certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := provision(t, Handler{Secrets: secrets(secret), JWKS: &JWKS{URL: test.url, CA: test.ca}, Source: "Testfile:7"})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "Testfile:7") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// While there are no keys of the provider's, a sound token of theirs looks like a forged
// one. Neither passes, and the client learns no more than of any other; but nobody is
// charged with what is the provider's fault.
func TestAProviderThatCannotBeReached(t *testing.T) {
	p, config := newProvider(t)
	p.down.Store(true)
	handler := newHandler(t, Handler{JWKS: config})
	forged := ask(t, handler, "Bearer "+mint(t, oldSecret, nil))
	if forged.record.Reason != "bad_token:signature" {
		t.Errorf("what our own secret has not signed: %s", forged.record.Reason)
	}
	if a := ask(t, handler, bearer(t, nil)); a.status != 0 {
		t.Errorf("a token of our own secret: %d, %s", a.status, a.record.Reason)
	}
	if n := p.fetches.Load(); n != 0 {
		t.Errorf("the provider was asked %d times for keys that it cannot have", n)
	}

	a := ask(t, handler, p.bearer(t))
	if a.status != 403 || a.record.Reason != "bad_token:keys_unavailable" || a.record.UserID != "" {
		t.Errorf("a token of the provider's: %d, %s", a.status, a.record.Reason)
	}
	if !errors.Is(a.err, token.KeysUnavailable) || errors.Is(forged.err, token.KeysUnavailable) {
		t.Error("ip_throttle cannot tell them apart")
	}
	if bodyOf(t, a) != bodyOf(t, forged) || !maps.EqualFunc(a.header, forged.header, slices.Equal) {
		t.Errorf("the client is told %s %v, of a forged token %s %v", bodyOf(t, a), a.header, bodyOf(t, forged), forged.header)
	}
	limited := newHandler(t, Handler{JWKS: config, Algorithms: []string{"HS256"}})
	if a := ask(t, limited, p.bearer(t)); a.record.Reason != "bad_token:algorithm" {
		t.Errorf("an algorithm that is not allowed: %s", a.record.Reason)
	}
}

// A provider that hangs is waited for by nobody who does not need it.
func TestTokensOfALocalKeyDoNotWaitForTheProvider(t *testing.T) {
	p, config := newProvider(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, err := key.Private(private, "")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	handler := newHandler(t, Handler{PublicKeys: []PublicKey{{File: file}}, JWKS: config})
	for _, kid := range []string{"", "own", "k1"} {
		own.ID = kid
		if a := ask(t, handler, bearerOf(t, own)); a.status != 0 {
			t.Errorf("a token of the local key, with kid %q: %d, %s", kid, a.status, a.record.Reason)
		}
	}
	if n := p.fetches.Load(); n != 0 {
		t.Errorf("the provider was asked %d times for keys that were there", n)
	}
	if a := ask(t, handler, p.bearer(t)); a.status != 0 || p.fetches.Load() != 1 {
		t.Errorf("a token of the provider's: %d, %s, %d fetches", a.status, a.record.Reason, p.fetches.Load())
	}
	stranger := *p.key
	stranger.ID = "another"
	if a := ask(t, handler, bearerOf(t, &stranger)); a.status != 403 || a.record.Reason != "bad_token:signature" {
		t.Errorf("under a kid that is not the provider's: %d, %s", a.status, a.record.Reason)
	}
}
