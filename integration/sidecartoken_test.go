package integration

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// stub is a gateway that takes requests only with a certificate, and remembers what
// they had with them.
type stub struct {
	*httptest.Server
	requests chan stubRequest
}

type stubRequest struct {
	header      http.Header
	certificate []byte // SHA-256
}

func newStub(t *testing.T, ca *authority) *stub {
	t.Helper()
	s := &stub{requests: make(chan stubRequest, 10)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		s.requests <- stubRequest{r.Header, sum[:]}
		_, _ = io.WriteString(w, "{}")
	}))
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{ca.leaf(t, host, host)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(),
	}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// claims are those of a request's token.
func (r stubRequest) claims(t *testing.T) jwt.MapClaims {
	t.Helper()
	compact, _ := strings.CutPrefix(r.header.Get("Authorization"), "Bearer ")
	parsed, err := jwt.Parse(compact, func(*jwt.Token) (any, error) { return []byte(jwtSecret), nil }, jwt.WithExpirationRequired())
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Claims.(jwt.MapClaims)
}

func TestTheSidecarsTokenBelongsToItsCertificate(t *testing.T) {
	ca := newAuthority(t, "internal CA")
	upstream := newStub(t, ca)
	first, second := ca.leaf(t, "clawdbot"), ca.leaf(t, "clawdbot")
	s := startSidecar(t, upstream.Listener.Addr().String(), ca, first)

	seen := make(map[any]bool)
	expect := func(certificate tls.Certificate) {
		t.Helper()
		a, err := s.post("127.0.0.1", func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+dummyKey)
			r.Header.Set("X-Api-Key", dummyKey)
			r.Header.Set("Api-Key", dummyKey)
		})
		if err != nil || a.status != 200 {
			t.Fatalf("got %d %s (%v)", a.status, a.body, err)
		}
		r := <-upstream.requests
		if strings.Contains(fmt.Sprint(r.header), dummyKey) {
			t.Errorf("the bot's key goes further: %v", r.header)
		}
		claims := r.claims(t)
		cnf, _ := claims["cnf"].(map[string]any)
		shown := base64.RawURLEncoding.EncodeToString(r.certificate)
		if want := base64.RawURLEncoding.EncodeToString(fingerprint(certificate)); cnf["x5t#S256"] != want || shown != want {
			t.Errorf("the token belongs to %v, and the certificate %s is shown; want %s", cnf, shown, want)
		}
		if claims["sub"] != "clawdbot" || seen[claims["jti"]] {
			t.Errorf("claims are %v", claims)
		}
		seen[claims["jti"]] = true
	}
	expect(first)
	expect(first)
	// a new certificate is shown with the next reload, and tokens must not be ahead of it
	s.writeClient(second)
	expect(first)
	s.reload()
	expect(second)
}

func TestASecretThatChangesCountsAtTheSidecar(t *testing.T) {
	ca := newAuthority(t, "internal CA")
	upstream := newStub(t, ca)
	s := startSidecar(t, upstream.Listener.Addr().String(), ca, ca.leaf(t, "clawdbot"))
	const newSecret = "another-secret-of-the-integration-tests-ABCDEFGH"
	writeFile(t, s.file("jwt.key"), []byte(newSecret+"\n"))
	begun := time.Now()
	await(t, "a token of the new secret", func() error {
		if _, err := s.post("127.0.0.1", unchanged); err != nil {
			return err
		}
		compact, _ := strings.CutPrefix((<-upstream.requests).header.Get("Authorization"), "Bearer ")
		_, err := jwt.Parse(compact, func(*jwt.Token) (any, error) { return []byte(newSecret), nil })
		return err
	})
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A gateway with another CA could be anybody.
func TestTheSidecarTrustsOnlyItsGateway(t *testing.T) {
	ca := newAuthority(t, "internal CA")
	other := newAuthority(t, "internal CA")
	upstream := newStub(t, other)
	s := startSidecar(t, upstream.Listener.Addr().String(), ca, other.leaf(t, "clawdbot"))
	if a, err := s.post("127.0.0.1", unchanged); err != nil || a.status != 502 {
		t.Errorf("got %d %s (%v)", a.status, a.body, err)
	}
	if n := len(upstream.requests); n > 0 {
		t.Errorf("the stranger got %d requests", n)
	}
}
