package auditlog

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

func TestWhatTheRecordSaysOfARequest(t *testing.T) {
	before := time.Now()
	r := newRequest("POST", "/v1/chat/completions?key=canary")
	r.Header.Set("User-Agent", "openai-python/1.0")
	got := newAudit(t).serve(t, r, func(w http.ResponseWriter, r *http.Request) error {
		record.From(r.Context()).UserID = "clawdbot"
		w.WriteHeader(200)
		return nil
	})
	f := got.fields
	for name, want := range map[string]any{
		"http.request.method": "POST",
		"url.path":            "/v1/chat/completions",
		"source.ip":           "192.0.2.1",
		"user.id":             "clawdbot",
		"http.version":        "1.1",
		"user_agent.original": "openai-python/1.0",
	} {
		if f[name] != want {
			t.Errorf("%s is %v, want %v", name, f[name], want)
		}
	}
	at, err := time.Parse(time.RFC3339Nano, f["@timestamp"].(string))
	if err != nil || at.Before(before.Truncate(time.Microsecond)) || at.After(time.Now()) || !strings.HasSuffix(f["@timestamp"].(string), "Z") {
		t.Errorf("@timestamp is %v, want now, in UTC", f["@timestamp"])
	}
	if d := f["event.duration"].(int64); d <= 0 || d > int64(time.Since(before)) {
		t.Errorf("event.duration is %d ns", d)
	}
	if text := fmt.Sprint(f); strings.Contains(text, "canary") {
		t.Errorf("the record holds the query, where some clients put their keys: %s", text)
	}
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func TestRequestID(t *testing.T) {
	for _, test := range []struct {
		name    string
		trusted any
		sent    string
		kept    bool
	}{
		{"none is sent", nil, "", false},
		{"a stranger's is replaced", false, "id-1", false},
		{"a stranger's is replaced where no proxy is trusted", nil, "id-1", false},
		{"a trusted proxy's is kept", true, "id-1", true},
		{"a trusted proxy's UUID is kept", true, "0191f0c4-1111-7000-8000-000000000000", true},
		{"the longest is kept", true, strings.Repeat("x", 128), true},
		{"even a trusted proxy's is replaced if it is too long", true, strings.Repeat("x", 129), false},
		{"or has a blank", true, "id 1", false},
		{"or a line break", true, "id\n1", false},
		{"or ends in one", true, "id-1\n", false},
		{"or a quote", true, `id"1`, false},
		{"or letters beyond ASCII", true, "idé", false},
		{"a claim to be trusted that is no bool is none", "true", "id-1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest("GET", "/v1/models")
			caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, test.trusted)
			if test.sent != "" {
				r.Header.Set("X-Request-Id", test.sent)
			}
			var inside []string
			got := newAudit(t).serve(t, r, func(w http.ResponseWriter, r *http.Request) error {
				inside = r.Header.Values("X-Request-Id")
				return nil
			})
			id, _ := got.fields["http.request.id"].(string)
			if (id == test.sent && id != "") != test.kept {
				t.Errorf("the record's id is %q, sent was %q", id, test.sent)
			}
			if !test.kept && !uuid.MatchString(id) {
				t.Errorf("the new id is %q, want a UUID", id)
			}
			if answer := got.header.Values("X-Request-Id"); len(answer) != 1 || answer[0] != id {
				t.Errorf("the answer has %q, want %q", answer, id)
			}
			if len(inside) != 1 || inside[0] != id {
				t.Errorf("the handlers inside see %q, want %q", inside, id)
			}
		})
	}
}

// reverse_proxy adds the upstream's headers to those of the answer; a second
// gateway behind this one sends an X-Request-Id too.
func TestTheAnswerHasOneRequestID(t *testing.T) {
	got := newAudit(t).serve(t, newRequest("GET", "/v1/models"), func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Add("X-Request-Id", "of-the-upstream")
		w.WriteHeader(200)
		return nil
	})
	if answer := got.header.Values("X-Request-Id"); len(answer) != 1 || answer[0] != got.fields["http.request.id"] {
		t.Errorf("the answer has %q, want the record's %v alone", answer, got.fields["http.request.id"])
	}
}

func TestTwoRequestsHaveTwoIDs(t *testing.T) {
	a := newAudit(t)
	one := a.serve(t, newRequest("GET", "/"), write(200))
	other := a.serve(t, newRequest("GET", "/"), write(200))
	if one.fields["http.request.id"] == other.fields["http.request.id"] {
		t.Errorf("both have %v", one.fields["http.request.id"])
	}
}

func TestTheClientsCertificateIsNamed(t *testing.T) {
	connection := verified(t, "clawdbot", "Example, Inc.")
	leaf := connection.PeerCertificates[0]
	r := newRequest("GET", "/")
	r.TLS = connection
	f := newAudit(t).serve(t, r, write(200)).fields
	if want := `CN=clawdbot,O=Example\, Inc.`; f["tls.client.subject"] != want {
		t.Errorf("tls.client.subject is %v, want %s", f["tls.client.subject"], want)
	}
	if want := fmt.Sprintf("%X", sha256.Sum256(leaf.Raw)); f["tls.client.hash.sha256"] != want {
		t.Errorf("tls.client.hash.sha256 is %v, want %s", f["tls.client.hash.sha256"], want)
	}

	for name, state := range map[string]*tls.ConnectionState{
		"no TLS": nil, "no certificate": {}, "a certificate that nobody has verified": {PeerCertificates: []*x509.Certificate{leaf}},
	} {
		r := newRequest("GET", "/")
		r.TLS = state
		f := newAudit(t).serve(t, r, write(200)).fields
		for _, field := range []string{"tls.client.subject", "tls.client.hash.sha256"} {
			if _, present := f[field]; present {
				t.Errorf("%s: the record has %s", name, field)
			}
		}
	}
}

func TestLongInputIsCut(t *testing.T) {
	for _, test := range []struct {
		name string
		path string
		want int
	}{
		{"1024 bytes are kept", "/" + strings.Repeat("x", 1023), 1024},
		{"more are cut", "/" + strings.Repeat("x", 100_000), 1024},
		{"a character is not cut in two", "/" + strings.Repeat("é", 1000), 1023},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest("GET", "/")
			r.URL.Path = test.path
			got := newAudit(t).serve(t, r, write(404)).fields["url.path"].(string)
			if len(got) != test.want || !utf8.ValidString(got) || !strings.HasPrefix(test.path, got) {
				t.Errorf("url.path has %d bytes, want %d: %.20q…%q", len(got), test.want, got, got[len(got)-4:])
			}
		})
	}
	r := newRequest("GET", "/")
	r.Method = strings.Repeat("M", 5000)
	r.Header.Set("User-Agent", strings.Repeat("A", 5000))
	f := newAudit(t).serve(t, r, write(405)).fields
	if got := f["http.request.method"].(string); got != strings.Repeat("M", 32) {
		t.Errorf("http.request.method has %d bytes, want 32", len(got))
	}
	if got := f["user_agent.original"].(string); got != strings.Repeat("A", 256) {
		t.Errorf("user_agent.original has %d bytes, want 256", len(got))
	}
}

func TestSequenceCountsEveryRecordOfTheProcess(t *testing.T) {
	one, other := newAudit(t), newAudit(t) // as before and after a reload
	var last uint64
	for n := range 10 {
		a := []*audit{one, other}[n%2]
		got := a.serve(t, newRequest("GET", "/"), write(200)).fields["event.sequence"].(uint64)
		if n > 0 && got != last+1 {
			t.Errorf("sequence %d comes after %d", got, last)
		}
		last = got
	}
}

func TestParallelRequestsHaveNumbersOfTheirOwn(t *testing.T) {
	a := newAudit(t)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			w := new(discard)
			if err := a.handler.ServeHTTP(w, newRequest("GET", "/"), next(write(200))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := make(map[any]bool)
	for _, entry := range a.logs.All() {
		seen[entry.ContextMap()["event.sequence"]] = true
	}
	if len(seen) != 100 {
		t.Errorf("100 records have %d numbers", len(seen))
	}
}

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header {
	if d.header == nil {
		d.header = make(http.Header)
	}
	return d.header
}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
