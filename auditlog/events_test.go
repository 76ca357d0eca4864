package auditlog

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"

	"github.com/gateway18789/caddy-ollama/auditlog/firstuse"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// installation is what all configurations of a test have in common: a storage, and the
// events app.
func installation(tb testing.TB, storage string) caddy.Context {
	tb.Helper()
	raw, err := json.Marshal(map[string]string{"module": "file_system", "root": storage})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:      &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(bool)}},
		StorageRaw: raw,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return ctx
}

// listener keeps the events that it hears.
type listener struct {
	mu   sync.Mutex
	said []caddy.Event
}

func (l *listener) Handle(_ context.Context, e caddy.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, e)
	return nil
}

// heard are the names of the events so far.
func (l *listener) heard() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.said {
		names = append(names, e.Name())
	}
	return names
}

// listen listens to these events, or to all, in all configurations of an installation.
func listen(t *testing.T, ctx caddy.Context, events ...string) *listener {
	t.Helper()
	app, err := ctx.App("events")
	if err != nil {
		t.Fatal(err)
	}
	l := new(listener)
	subscription := &caddyevents.Subscription{Events: events, Modules: []caddy.ModuleID{"http.handlers.audit_log"}, Handlers: []caddyevents.Handler{l}}
	if err := app.(*caddyevents.App).Subscribe(subscription); err != nil {
		t.Fatal(err)
	}
	if err := app.(*caddyevents.App).Start(); err != nil {
		t.Fatal(err)
	}
	return l
}

// configured is an audit of a configuration of the installation, and how that ends.
func configured(t *testing.T, base caddy.Context, options Handler) (a *audit, end func()) {
	t.Helper()
	ctx, end := caddy.NewContext(base)
	t.Cleanup(end)
	return newAuditIn(t, ctx, options), end
}

// noFailure lets a test begin without one that an earlier one has left.
func noFailure(t *testing.T) {
	t.Helper()
	inFailure.Store(false)
	t.Cleanup(func() { inFailure.Store(false) })
}

func TestWhichRequestsAreEvents(t *testing.T) {
	down, up := record.UpstreamTurn{Address: "127.0.0.1:11434"}, record.UpstreamTurn{Address: "127.0.0.1:11434", Up: true}
	for _, test := range []struct {
		name   string
		rec    record.Record
		events []string
	}{
		{"one that goes well is none", record.Record{Reason: record.OK}, nil},
		{"a token that is signed by somebody else", record.Record{Reason: record.BadToken + "signature"}, []string{eventForgedToken}},
		{"a token of another's certificate", record.Record{Reason: record.BadToken + "certificate"}, []string{eventForgedToken}},
		{"a token whose keys cannot be had is none", record.Record{Reason: record.BadToken + "keys_unavailable"}, nil},
		{"a token that has expired is none", record.Record{Reason: record.BadToken + "expired"}, nil},
		{"what is no token is none", record.Record{Reason: record.BadToken + "malformed"}, nil},
		{"an upstream that is gone", record.Record{Reason: record.UpstreamError, UpstreamTurns: []record.UpstreamTurn{down}}, []string{eventUpstreamDown}},
		{"an upstream that is still gone is none", record.Record{Reason: record.UpstreamError}, nil},
		{"one that is back", record.Record{Reason: record.OK, UpstreamTurns: []record.UpstreamTurn{up}}, []string{eventUpstreamUp}},
		{"one that flaps", record.Record{Reason: record.OK, UpstreamTurns: []record.UpstreamTurn{down, up}}, []string{eventUpstreamDown, eventUpstreamUp}},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := installation(t, t.TempDir())
			l := listen(t, base)
			a, _ := configured(t, base, Handler{})
			got := a.serve(t, newRequest("POST", "/v1/chat/completions"), fill(test.rec))
			if fmt.Sprint(l.heard()) != fmt.Sprint(test.events) {
				t.Fatalf("events are %q, want %q", l.heard(), test.events)
			}
			for _, e := range l.said {
				for field, value := range got.fields {
					if fmt.Sprint(e.Data[field]) != fmt.Sprint(value) {
						t.Errorf("%s: %s is %v, in the log %v", e.Name(), field, e.Data[field], value)
					}
				}
				if address := e.Data["server.address"]; strings.Contains(e.Name(), "upstream") && address != "127.0.0.1:11434" {
					t.Errorf("%s: server.address is %v", e.Name(), address)
				}
			}
		})
	}
}

// Nothing of what the operator wanted to be hidden is in an event, and what happened
// within the request waits until it is.
func TestEventsHaveTheRecordAsTheLogHasIt(t *testing.T) {
	base := installation(t, t.TempDir())
	l := listen(t, base)
	a, _ := configured(t, base, Handler{Pseudonymize: map[string]string{userID: strings.Repeat("k", 32)}})
	var atEnd map[string]any
	a.serve(t, newRequest("GET", "/"), func(w http.ResponseWriter, r *http.Request) error {
		rec := record.From(r.Context())
		rec.UserID = "ann@example.com"
		rec.UpstreamTurns = []record.UpstreamTurn{{Address: "a"}}
		rec.AtEnd(func() { atEnd = rec.Fields() })
		return explain(record.UpstreamError, write(502))(w, r)
	})
	for what, data := range map[string]map[string]any{"the event": l.said[0].Data, "at the end": atEnd} {
		if text := fmt.Sprint(data); strings.Contains(text, "ann@") || data["user.id"] == nil || data["http.response.status_code"] != 502 {
			t.Errorf("%s says %v", what, text)
		}
	}
}

// Where nobody listens, an event costs no more than to ask.
func TestEventsCostNothingIfNobodyListens(t *testing.T) {
	base := installation(t, t.TempDir())
	listen(t, base, "another")
	a, _ := configured(t, base, Handler{})
	rec := &record.Record{
		Reason: record.BadToken + "signature", ClientFingerprint: "AB", UpstreamTurns: []record.UpstreamTurn{{Address: "a"}},
	}
	if n := testing.AllocsPerRun(100, func() { a.handler.tell(rec, nil) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A stream may outlive its configuration; its events are for those who listen now.
func TestEventsGoToTheConfigurationInForce(t *testing.T) {
	one, two := installation(t, t.TempDir()), installation(t, t.TempDir())
	first, second := listen(t, one), listen(t, two)
	forged := explain(record.BadToken+"signature", write(403))
	a, endOld := configured(t, one, Handler{})
	a.serve(t, newRequest("GET", "/"), func(w http.ResponseWriter, r *http.Request) error {
		configured(t, two, Handler{})
		a.logs.TakeAll()
		endOld()
		return forged(w, r)
	})
	if len(first.heard()) != 0 || len(second.heard()) != 1 {
		t.Errorf("the old heard %q, the new %q", first.heard(), second.heard())
	}

	// a configuration that comes and is rejected hears nothing
	three := installation(t, t.TempDir())
	third := listen(t, three)
	b, _ := configured(t, two, Handler{})
	configured(t, three, Handler{})
	b.serve(t, newRequest("GET", "/"), forged)
	if len(third.heard()) != 0 || len(second.heard()) != 2 {
		t.Errorf("the youngest heard %q, the one in force %q", third.heard(), second.heard())
	}
}

func TestWithoutAConfigurationNobodyIsTold(t *testing.T) {
	base := installation(t, t.TempDir())
	l := listen(t, base)
	a, end := configured(t, base, Handler{})
	end()
	a.serve(t, newRequest("GET", "/"), explain(record.BadToken+"signature", write(403)))
	if heard := l.heard(); len(heard) != 0 {
		t.Errorf("heard %q", heard)
	}
}

// Caddy ends a configuration first, and its modules after that.
func TestAConfigurationThatHasEndedIsNotInForce(t *testing.T) {
	var all configurations
	old, end := caddy.NewContext(installation(t, t.TempDir()))
	young := newContext(t)
	first, err := all.join(old)
	if err != nil {
		t.Fatal(err)
	}
	second, err := all.join(young)
	if err != nil {
		t.Fatal(err)
	}
	if all.inForce() != first {
		t.Error("the older is not in force")
	}
	end()
	if all.inForce() != second {
		t.Error("the one that has ended is in force")
	}
	all.leave(first)
	all.leave(second)
	if all.inForce() != nil {
		t.Error("there is one in force when none is left")
	}
}

func TestAFailureOfTheAuditFileIsToldOnce(t *testing.T) {
	noFailure(t)
	countAnew(t)
	base := installation(t, t.TempDir())
	l := listen(t, base)
	a, _ := configured(t, base, Handler{})
	broken := errors.New("no space left on device")
	for _, failure := range []error{nil, broken, broken, nil, broken} {
		a.handler.tell(&record.Record{Reason: record.OK, RequestID: "r"}, failure)
	}
	if heard := l.heard(); fmt.Sprint(heard) != fmt.Sprint([]string{eventFailure, eventFailure}) {
		t.Fatalf("heard %q, want two, one each time that it began", heard)
	}
	if d := l.said[0].Data; d["error.message"] != broken.Error() || d["http.request.id"] != "r" {
		t.Errorf("the event says %v", d)
	}
}

// certified is a request with this client certificate.
func certified(connection *tls.ConnectionState) *http.Request {
	r := newRequest("GET", "/")
	r.TLS = connection
	return r
}

// eventually waits until so many events have been heard, and expects no more.
func (l *listener) eventually(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(l.heard()) < n && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if heard := l.heard(); len(heard) != n {
		t.Fatalf("heard %q, want %d", heard, n)
	}
}

// newcomers lets the test's process know no certificates.
func newcomers(t *testing.T) {
	t.Helper()
	before := certificates
	certificates = firstuse.New("caddy_ollama/certificates.seen", 10)
	t.Cleanup(func() { certificates = before })
}

func TestACertificateIsNewOnce(t *testing.T) {
	newcomers(t)
	storage := t.TempDir()
	base := installation(t, storage)
	l := listen(t, base, eventNewCertificate)
	a, _ := configured(t, base, Handler{})
	ann, bob := verified(t, "ann"), verified(t, "bob")
	fields := a.serve(t, certified(ann), write(200)).fields
	l.eventually(t, 1)
	if d := l.said[0].Data; d["tls.client.subject"] != "CN=ann" || d["tls.client.hash.sha256"] != fields["tls.client.hash.sha256"] || d["event.reason"] != "ok" {
		t.Errorf("the event says %v", d)
	}
	a.serve(t, certified(ann), write(200))
	a.serve(t, certified(bob), write(403)) // whether it is let in or not
	l.eventually(t, 2)

	newcomers(t) // a restart, or another gateway of the same storage
	a.serve(t, certified(ann), write(200))
	a.serve(t, certified(verified(t, "cy")), write(200))
	l.eventually(t, 3)
	if last := l.said[2].Data["tls.client.subject"]; last != "CN=cy" {
		t.Errorf("new is %v", last)
	}
	if text, err := os.ReadFile(filepath.Join(storage, "caddy_ollama", "certificates.seen")); err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("the storage has %q, %v", text, err)
	}
}

func TestACertificateThatNobodyVerifiedIsNotNew(t *testing.T) {
	newcomers(t)
	base := installation(t, t.TempDir())
	l := listen(t, base, eventNewCertificate)
	a, _ := configured(t, base, Handler{})
	a.serve(t, certified(&tls.ConnectionState{PeerCertificates: verified(t, "eve").PeerCertificates}), write(200))
	a.serve(t, certified(verified(t, "ann")), write(200))
	l.eventually(t, 1)
}

func TestAStorageThatFailsCostsNoRequest(t *testing.T) {
	newcomers(t)
	base := installation(t, "/dev/null/nowhere")
	l := listen(t, base, eventNewCertificate)
	a, _ := configured(t, base, Handler{})
	a.handler.logger = a.handler.logger.Named("failing")
	for range 2 {
		if err := a.handler.ServeHTTP(new(discard), certified(verified(t, "ann")), next(write(200))); err != nil {
			t.Error(err)
		}
	}
	l.eventually(t, 2) // two certificates: the name is the same, the key is not
}
