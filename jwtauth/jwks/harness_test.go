package jwks

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// The proxy is set here because net/http reads the environment once only.
func TestMain(m *testing.M) {
	os.Setenv("HTTPS_PROXY", "http://proxy.example:3128")
	os.Setenv("NO_PROXY", "example.com,stranger.example,127.0.0.1")
	goleak.VerifyTestMain(m)
}

// publisher is an identity provider at https://example.com, reached without a network:
// so it can be in a bubble of testing/synctest, where time passes only when everybody waits.
type publisher struct {
	network *network
	roots   *x509.CertPool
	logger  *zap.Logger
	log     *observer.ObservedLogs

	fetches atomic.Int64
	answer  atomic.Pointer[http.HandlerFunc]
}

// publish starts a provider with a set of these kids. A kid may go on with the algorithm
// of its key: kid/EdDSA. HS256 is what the others have, because it is quick; that no
// provider publishes such keys is Parse's business.
func publish(t *testing.T, kids ...string) *publisher {
	return publishWith(t, new(tls.Config), kids...)
}

func publishWith(t *testing.T, config *tls.Config, kids ...string) *publisher {
	t.Helper()
	p := &publisher{network: newNetwork()}
	p.replace(kids...)
	core, lines := observer.New(zapcore.DebugLevel)
	p.logger, p.log = zap.New(core), lines
	server := &httptest.Server{Listener: p.network, Config: &http.Server{Handler: http.HandlerFunc(p.serve)}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = config
	server.StartTLS()
	t.Cleanup(func() { server.Config.Close() }) // server.Close would wait for clients
	p.roots = x509.NewCertPool()
	p.roots.AddCert(server.Certificate())
	return p
}

func (p *publisher) serve(w http.ResponseWriter, r *http.Request) {
	p.fetches.Add(1)
	(*p.answer.Load())(w, r)
}

// answers makes the provider answer so from now on.
func (p *publisher) answers(h http.HandlerFunc) { p.answer.Store(&h) }

// replace publishes another set.
func (p *publisher) replace(kids ...string) { p.answers(sends(kids...)) }

// fails makes the provider answer with a status from now on.
func (p *publisher) fails(status int) {
	p.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// sends answers with a set.
func sends(kids ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.Write(document(kids...)) }
}

// hangs answers nothing until the client is gone.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// after answers with a set after a while.
func after(d time.Duration, kids ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d) // of the bubble's time
		sends(kids...)(w, r)
	}
}

// document is a set as the provider writes it.
func document(kids ...string) []byte {
	data, err := json.Marshal(map[string]any{"keys": kids})
	if err != nil {
		panic(err)
	}
	return data
}

// parse reads a document, as strictly as is asked of Options.Parse.
func parse(data []byte) (keys []*key.Key, err error) {
	var set struct{ Keys []string }
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, name := range set.Keys {
		kid, _, _ := strings.Cut(name, "/")
		if seen[kid] {
			return nil, fmt.Errorf("two keys with the kid %q", kid)
		}
		seen[kid] = true
		keys = append(keys, keyOf(name))
	}
	return keys, nil
}

// keyOf is the key of a kid, with its private part.
func keyOf(name string) *key.Key {
	kid, algorithm, _ := strings.Cut(name, "/")
	seed := sha256.Sum256([]byte(kid))
	k, err := key.Secret(seed[:], "HS256")
	if algorithm == "EdDSA" {
		k, err = key.Private(ed25519.NewKeyFromSeed(seed[:]), algorithm)
	}
	if err != nil {
		panic(err)
	}
	k.ID = kid
	return k
}

func (p *publisher) options() Options {
	return Options{
		URL:     "https://example.com/jwks.json",
		Parse:   parse,
		RootCAs: p.roots,
		Logger:  func() *zap.Logger { return p.logger },
		dial:    p.network.dial,
	}
}

// remote makes a Remote that ends with the test.
func remote(t *testing.T, o Options) *Remote {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Destruct(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// bubble runs a test in which time passes only when everybody waits. No goroutine
// outlives it.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// pass lets time pass, and what is to happen by then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// accepts reports whether a token signed with the key of a kid would pass.
func accepts(r *Remote, name string) bool { return acceptsUntil(context.Background(), r, name) }

func acceptsUntil(ctx context.Context, r *Remote, name string) bool {
	k := keyOf(name)
	signature, err := k.Sign("what is signed")
	if err != nil {
		panic(err)
	}
	keys, decoy, _ := r.Find(ctx, k.Algorithm, k.ID)
	for _, found := range keys {
		if !decoy && found.Verify("what is signed", signature) {
			return true
		}
	}
	return false
}

// together finds the keys of many tokens at once and returns how many are refused.
func together(r *Remote, n int, name func(i int) string) (refused int64) {
	var count atomic.Int64
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if !accepts(r, name(i)) {
				count.Add(1)
			}
		})
	}
	wg.Wait()
	return count.Load()
}

// took is how long f took.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// want fails the test unless exactly these tokens pass and those not.
func want(t *testing.T, r *Remote, pass, fail []string) {
	t.Helper()
	for _, name := range pass {
		if !accepts(r, name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range fail {
		if accepts(r, name) {
			t.Errorf("%q is accepted", name)
		}
	}
}

// wantFetches fails the test unless the provider was asked so many times in all.
func (p *publisher) wantFetches(t *testing.T, n int64) {
	t.Helper()
	if got := p.fetches.Load(); got != n {
		t.Errorf("the set was fetched %d times, want %d", got, n)
	}
}

// awaitFetch lets time pass until the provider was asked so many times in all, a tenth
// of a second at most after that.
func (p *publisher) awaitFetch(n int64) {
	for p.fetches.Load() < n {
		pass(100 * time.Millisecond)
	}
}

// wantLog fails the test unless the log has these lines since it was last asked.
// Each is a level and the error's class, if there is one.
func (p *publisher) wantLog(t *testing.T, lines ...string) {
	t.Helper()
	var got []string
	for _, entry := range p.log.TakeAll() {
		line := entry.Level.String()
		if class, ok := entry.ContextMap()["error"].(string); ok {
			line += ": " + class
		}
		got = append(got, line)
	}
	if strings.Join(got, "\n") != strings.Join(lines, "\n") {
		t.Errorf("the log has %q, want %q", got, lines)
	}
}
