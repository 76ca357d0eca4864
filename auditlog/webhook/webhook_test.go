package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// configuration is one of Caddy's, and how it ends.
func configuration(t *testing.T) (caddy.Context, context.CancelFunc) {
	t.Helper()
	ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(end)
	return ctx, end
}

func load(t *testing.T, ctx caddy.Context, config string) *Webhook {
	t.Helper()
	w, err := tryLoad(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func tryLoad(ctx caddy.Context, config string) (*Webhook, error) {
	module, err := ctx.LoadModuleByID("events.handlers.webhook", []byte(config))
	if err != nil {
		return nil, err
	}
	return module.(*Webhook), nil
}

// tell hands an event over.
func tell(t *testing.T, w *Webhook, name string, data map[string]any) {
	t.Helper()
	ctx, _ := configuration(t)
	e, err := caddy.NewEvent(ctx, name, data)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Handle(t.Context(), e); err != nil {
		t.Error(err)
	}
}

// place is a receiver over HTTP.
type place struct {
	*httptest.Server
	alarms chan alarm
	mu     sync.Mutex
	down   bool
	keys   []string // of each request
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{alarms: make(chan alarm, 1000)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.down
		p.keys = append(p.keys, r.Header.Get("Authorization"))
		p.mu.Unlock()
		var a alarm
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, json.Unmarshal(body, &a)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		p.alarms <- a
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *place) set(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// shown are the keys that it was shown.
func (p *place) shown() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys
}

func (p *place) next(t *testing.T) alarm {
	t.Helper()
	select {
	case a := <-p.alarms:
		return a
	case <-time.After(patience):
		t.Fatal("no alarm came")
		panic("unreachable")
	}
}

func TestAnEventIsDelivered(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("canary-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	ctx, _ := configuration(t)
	w := load(t, ctx, fmt.Sprintf(`{"url":%q,"header":{"Authorization":"Bearer {file.%s}"}}`, p.URL+"/hook", key))
	tell(t, w, "audit_log.forged_token", map[string]any{"event.reason": "bad_token:signature", "http.response.status_code": 403})
	a := p.next(t)
	if a.Event != "audit_log.forged_token" || a.Text != "audit_log.forged_token: bad_token:signature" || a.Data["http.response.status_code"] != 403.0 ||
		len(a.ID) != 36 || time.Since(a.Time) > time.Minute || a.Gateway == "" {
		t.Errorf("the alarm is %+v", a)
	}
	if p.shown()[0] != "Bearer canary-key" {
		t.Errorf("Authorization is %q", p.shown()[0])
	}
}

// What waits is not lost in a reload, and goes with the options of the new configuration:
// that may be just why it is loaded.
func TestTheQueueOutlivesAReload(t *testing.T) {
	p := newPlace(t)
	p.set(true)
	before, end := configuration(t)
	config := `{"url":"` + p.URL + `","header":{"Authorization":"%s"}}`
	old := load(t, before, fmt.Sprintf(config, "old"))
	tell(t, old, "one", nil)
	tell(t, old, "two", nil)
	after, _ := configuration(t)
	young := load(t, after, fmt.Sprintf(config, "new"))
	if w := young.joined.inForce(); w != old {
		t.Error("the new options count before the old configuration has ended")
	}
	end()
	p.set(false)
	tell(t, young, "three", nil)
	for _, want := range []string{"one", "two", "three"} {
		if a := p.next(t); a.Event != want {
			t.Errorf("got %s, want %s", a.Event, want)
		}
	}
	if keys := p.shown(); keys[len(keys)-1] != "new" {
		t.Errorf("the keys were %q", keys)
	}
}

func TestAtTheEndWhatWaitsGetsALastAttempt(t *testing.T) {
	p := newPlace(t)
	p.set(true)
	ctx, end := configuration(t)
	w := load(t, ctx, `{"url":"`+p.URL+`"}`)
	for range 10 {
		tell(t, w, "e", nil)
	}
	for deadline := time.Now().Add(patience); len(p.shown()) == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	p.set(false)
	end()
	if n := len(p.alarms); n != 10 {
		t.Errorf("%d of 10 came before the end", n)
	}
	dropped := testutil.ToFloat64(deliveriesTotal.WithLabelValues(resultDropped))
	tell(t, w, "late", nil)
	if n := testutil.ToFloat64(deliveriesTotal.WithLabelValues(resultDropped)) - dropped; n != 1 {
		t.Errorf("%v are counted as dropped of one after the end", n)
	}
}

func TestDeliveriesAreCounted(t *testing.T) {
	counts := func() (all [3]float64) {
		for i, result := range []string{resultDelivered, resultFailed, resultDropped} {
			all[i] = testutil.ToFloat64(deliveriesTotal.WithLabelValues(result))
		}
		return all
	}
	before := counts()
	p := newPlace(t)
	ctx, _ := configuration(t)
	w := load(t, ctx, `{"url":"`+p.URL+`","queue":3}`)
	core, logs := observer.New(zapcore.ErrorLevel)
	w.logger = zap.New(core)
	tell(t, w, "e", nil)
	p.next(t)
	until(t, func() bool { return counts()[0] == before[0]+1 })
	p.set(true)
	for range 10 {
		tell(t, w, "e", nil)
	}
	until(t, func() bool { return counts()[2] == before[2]+7 })
	if n := testutil.ToFloat64(queueLength); n != 3 {
		t.Errorf("%v wait, want 3", n)
	}
	if n := logs.Len(); n != 1 {
		t.Errorf("the log tells of the drops %d times", n)
	}
	other, _ := configuration(t)
	gone := load(t, other, `{"url":"`+p.URL+`/nowhere","retry":"1ns"}`)
	tell(t, gone, "e", nil)
	until(t, func() bool { return counts()[1] == before[1]+1 })
	problems, err := testutil.GatherAndLint(ctx.GetMetricsRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.Contains(problem.Metric, "webhook") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	p.set(false) // the last attempts need not wait
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("it never came to that")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestWhichReceiversAreRefused(t *testing.T) {
	t.Setenv("CANARY", "canary-secret\nx")
	t.Setenv("CANARY_URL", "http://[canary-secret")
	for _, test := range []struct {
		name   string
		config string
		refuse string // what the error says; empty: it is accepted
	}{
		{"https is accepted", `{"url":"https://alerts.example.com/hook"}`, ""},
		{"http on this host is accepted", `{"url":"http://127.0.0.1:8080/"}`, ""},
		{"on this host by name", `{"url":"http://localhost:8080/"}`, ""},
		{"on this host by IPv6", `{"url":"http://[::1]:8080/"}`, ""},
		{"http to another is refused", `{"url":"http://alerts.example.com/hook"}`, "in the clear"},
		{"to one that only looks like this host", `{"url":"http://127.0.0.1.example.com/"}`, "in the clear"},
		{"to another is accepted if the user wants it", `{"url":"http://alerts.example.com/hook","allow_http":true}`, ""},
		{"no URL", `{}`, "name the receiver"},
		{"no host", `{"url":"https:///hook"}`, "must be one such as"},
		{"another scheme", `{"url":"ftp://alerts.example.com"}`, "must be one such as"},
		{"what is no URL", `{"url":"{env.CANARY_URL}"}`, "must be one such as"},
		{"a password in the URL", `{"url":"https://u:canary-secret@alerts.example.com"}`, "must not hold a user"},
		{"a file that is not there", `{"url":"https://a.example.com","header":{"Authorization":"{file./canary-secret}"}}`, "header Authorization: its value cannot be read"},
		{"a URL in a file that is not there", `{"url":"{file./canary-secret}"}`, "the URL cannot be read"},
		{"a variable that is not set", `{"url":"https://a.example.com","header":{"Authorization":"{env.NOT_SET_ANYWHERE}"}}`, "cannot be read"},
		{"a value with a line break", `{"url":"https://a.example.com","header":{"Authorization":"{env.CANARY}"}}`, "line break"},
		{"a header that is not the user's", `{"url":"https://a.example.com","header":{"content-type":"x"}}`, "not yours"},
		{"a name that is none", `{"url":"https://a.example.com","header":{"a b":"x"}}`, "no name of a header"},
		{"a negative queue", `{"url":"https://a.example.com","queue":-1}`, "negative"},
		{"a queue without end", `{"url":"https://a.example.com","queue":1000000000}`, "at most"},
		{"a timeout without end", `{"url":"https://a.example.com","timeout":"1h"}`, "at most"},
		{"an unknown option", `{"url":"https://a.example.com","colour":"red"}`, "colour"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, end := configuration(t)
			_, err := tryLoad(ctx, test.config)
			end()
			if (err != nil) != (test.refuse != "") || err != nil && !strings.Contains(err.Error(), test.refuse) {
				t.Errorf("the error is %v, want %q", err, test.refuse)
			}
			if err != nil && strings.Contains(err.Error(), "canary-secret") {
				t.Errorf("the error tells the secret: %v", err)
			}
			left := 0
			receivers.Range(func(_, _ any) bool { left++; return true })
			if left != 0 {
				t.Errorf("%d receivers are left", left)
			}
		})
	}
}

func TestHandlersOfOneURLAgree(t *testing.T) {
	ctx, _ := configuration(t)
	load(t, ctx, `{"url":"https://a.example.com/secret"}`)
	load(t, ctx, `{"url":"https://a.example.com/secret"}`)
	load(t, ctx, `{"url":"https://a.example.com/other","queue":7}`)
	_, err := tryLoad(ctx, `{"url":"https://a.example.com/secret","queue":7}`)
	if err == nil || !strings.Contains(err.Error(), "different options") || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
	load(t, ctx, `{"url":"https://b.example.com/secret","source":"Caddyfile:4"}`)
	_, err = tryLoad(ctx, `{"url":"https://b.example.com/secret","header":{"X-Team":"ops"},"source":"Caddyfile:7"}`)
	for _, say := range []string{"https://b.example.com", " at Caddyfile:4", " at Caddyfile:7", "header"} {
		if err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "secret") {
			t.Errorf("the error does not say %q: %v", say, err)
		}
	}
	next, _ := configuration(t)
	load(t, next, `{"url":"https://a.example.com/secret","queue":7}`) // after a reload they may differ
}

// The URL of a receiver can be a secret as much as its key.
func TestNoLogTellsASecret(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	p := newPlace(t)
	p.set(true)
	ctx, end := configuration(t)
	w := load(t, ctx, `{"url":"`+p.URL+`/canary-path","header":{"Authorization":"canary-key"},"queue":1,"retry":"1ns"}`)
	w.logger = zap.New(core)
	w.logger.Debug("as Caddy's events app does", zap.Any("handler", w))
	for range 5 {
		tell(t, w, "canary-free", map[string]any{"user.id": "canary-user"})
	}
	until(t, func() bool { return w.joined.courier.Waiting() == 0 })
	p.Server.Close()
	tell(t, w, "e", nil)
	end()
	messages := 0
	for _, entry := range logs.All() {
		messages++
		text, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "m"}).EncodeEntry(entry.Entry, entry.Context)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"canary-path", "canary-key", "canary-user"} {
			if strings.Contains(text.String(), secret) {
				t.Errorf("the log says %s", text)
			}
		}
	}
	if messages < 4 { // the handler, trouble, given up, dropped
		t.Errorf("%d messages", messages)
	}
}
