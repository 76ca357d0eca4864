package auditlog

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

type next = caddyhttp.HandlerFunc

// audit is a handler whose records are kept.
type audit struct {
	handler *Handler
	logs    *observer.ObservedLogs
}

func newContext(t *testing.T) caddy.Context {
	t.Helper()
	ctx, cancel := caddy.NewContext(installation(t, t.TempDir()))
	t.Cleanup(cancel)
	return ctx
}

func newAudit(t *testing.T) *audit {
	t.Helper()
	return newAuditWith(t, Handler{})
}

// newAuditWith is one with these options.
func newAuditWith(t *testing.T, options Handler) *audit {
	t.Helper()
	return newAuditIn(t, newContext(t), options)
}

// newAuditIn is one of this configuration.
func newAuditIn(t *testing.T, ctx caddy.Context, options Handler) *audit {
	t.Helper()
	raw, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	module, err := ctx.LoadModuleByID("http.handlers.audit_log", raw)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	handler := module.(*Handler)
	handler.logger = zap.New(core)
	return &audit{handler, logs}
}

// verified is a connection whose client has shown a certificate that was verified.
func verified(tb testing.TB, name string, organization ...string) *tls.ConnectionState {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name, Organization: organization},
	}, &x509.Certificate{SerialNumber: big.NewInt(2)}, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	issuer := &x509.Certificate{Raw: []byte("issuer"), Subject: pkix.Name{CommonName: "ca"}}
	return &tls.ConnectionState{
		PeerCertificates: []*x509.Certificate{leaf, issuer}, VerifiedChains: [][]*x509.Certificate{{leaf, issuer}},
	}
}

// newRequest is one as Caddy's server prepares it.
func newRequest(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "192.0.2.1")
	return r
}

// answered is how the handler ended a request.
type answered struct {
	fields   map[string]any // of the one record
	header   http.Header
	err      error
	panicked any
}

// serve sends the request through the handler to inner and expects one record.
func (a *audit) serve(t *testing.T, r *http.Request, inner next) (got answered) {
	t.Helper()
	w := httptest.NewRecorder()
	func() {
		defer func() { got.panicked = recover() }()
		got.err = a.handler.ServeHTTP(w, r, inner)
	}()
	got.header = w.Header()
	entries := a.logs.TakeAll()
	if len(entries) != 1 {
		t.Fatalf("%d records of one request", len(entries))
	}
	got.fields = entries[0].ContextMap()
	return got
}

// check expects how the record says that the request ended.
func check(t *testing.T, got answered, status int, reason, outcome string) {
	t.Helper()
	f := got.fields
	if f["http.response.status_code"] != status || f["event.reason"] != reason || f["event.outcome"] != outcome {
		t.Errorf("the record says %v, %v, %v; want %d, %s, %s",
			f["http.response.status_code"], f["event.reason"], f["event.outcome"], status, reason, outcome)
	}
}
