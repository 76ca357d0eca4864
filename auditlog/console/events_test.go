package console

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/auditlog/board"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

func TestAViewerSeesWhatHappens(t *testing.T) {
	h := load(t, newContext(t), `{}`)
	_, early := begin(t, new(record.Record))
	early.End(&record.Record{RequestID: "early", Reason: record.OK})
	w := watch(t, server(t, h))
	var hello struct{ Time time.Time }
	if w.next("hello", &hello); time.Since(hello.Time) > time.Minute {
		t.Errorf("the time is %v", hello.Time)
	}
	var ended []board.Ended
	if w.next("ended", &ended); len(ended) != 1 || ended[0].RequestID != "early" {
		t.Fatalf("ended: %+v", ended)
	}
	rec := &record.Record{RequestID: "late", UserID: "anna"}
	_, late := begin(t, rec)
	rec.Show()
	rec.ShowTokens(3)
	for now := (present{}); len(now.Open) == 0 || now.Open[0].User != "anna" || now.Open[0].Tokens != 3; {
		if !w.next("now", &now) {
			t.Fatal("it is never shown")
		}
	}
	late.End(&record.Record{RequestID: "late", Reason: record.OK})
	if w.next("ended", &ended); len(ended) != 1 || ended[0].RequestID != "late" {
		t.Errorf("ended: %+v", ended)
	}
}

func TestNoMoreViewersThanThereMayBe(t *testing.T) {
	h := load(t, newContext(t), `{"viewers":1}`)
	s := server(t, h)
	w := watch(t, s)
	if !w.next("hello", new(any)) {
		t.Fatal("the first sees nothing")
	}
	r := newRequest("GET", "/events", "")
	if w, status := serve(h, r); status != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("the second: %d", status)
	}
	w.leave()
	for deadline := time.Now().Add(10 * time.Second); h.looking.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("who has left counts for ever")
		}
	}
	watch(t, s).next("hello", new(any))
}

func TestViewersGoWithTheConfiguration(t *testing.T) {
	ctx, end := caddy.NewContext(caddy.Context{Context: t.Context()})
	w := watch(t, server(t, load(t, ctx, `{}`)))
	w.next("hello", new(any))
	end()
	for w.lines.Scan() {
	}
	if err := w.lines.Err(); err != nil {
		t.Errorf("cut off: %v", err)
	}
}

// reader is a client that reads at its own pace, in bubbles of synctest.
type reader struct {
	header   http.Header
	deadline time.Time
	slow     bool // does not read at all
	got      bytes.Buffer
	at       time.Time // when it got something
}

func (r *reader) Header() http.Header { return r.header }
func (r *reader) WriteHeader(int)     {}
func (r *reader) FlushError() error   { return nil }

func (r *reader) SetWriteDeadline(t time.Time) error {
	r.deadline = t
	return nil
}

func (r *reader) Write(p []byte) (int, error) {
	if r.slow {
		time.Sleep(time.Until(r.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	r.at = time.Now()
	return r.got.Write(p)
}

// look lets somebody look, with an own board, until he is dropped.
func look(t *testing.T, r *reader, ctx context.Context) (took time.Duration) {
	t.Helper()
	h := &Handler{Viewers: 1, ProtectedElsewhere: true}
	if err := h.Provision(caddy.Context{Context: context.Background()}); err != nil {
		t.Fatal(err)
	}
	defer h.Cleanup()
	r.header = make(http.Header)
	began := time.Now()
	if err := h.ServeHTTP(r, newRequest("GET", "/events", "").WithContext(ctx), nil); err != nil {
		t.Error(err)
	}
	if h.looking.Load() != 0 {
		t.Errorf("%d look still", h.looking.Load())
	}
	return time.Since(began)
}

func TestASlowViewerIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if took := look(t, &reader{slow: true}, t.Context()); took != slowest {
			t.Errorf("after %v", took)
		}
	})
}

func TestAViewerMustComeAnewOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(reader)
		if took := look(t, r, t.Context()); took != longestLook {
			t.Errorf("after %v", took)
		}
		// nothing happened; so he is sent the hour once a minute, and signs of life
		if events := strings.Count(r.got.String(), "event: now\n"); events != 1 {
			t.Errorf("told of the present %d times", events)
		}
		if beats := strings.Count(r.got.String(), ": still here\n\n"); beats < 15*3 {
			t.Errorf("%d signs of life in %v", beats, longestLook)
		}
		if r.deadline != (time.Time{}) {
			t.Error("the connection keeps a deadline")
		}
	})
}

func TestAViewerWhoLeavesIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithTimeout(t.Context(), 10*time.Second)
		defer leave()
		if took := look(t, new(reader), ctx); took != 10*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// All who look have one sight, however many they are.
func TestASightServesForASecond(t *testing.T) {
	b := board.New()
	s := &sights{board: b}
	now := time.Unix(1_700_000_000, 0)
	first := s.latest(now)
	board.Use(b)
	defer board.Drop(b)
	_, e := begin(t, &record.Record{RequestID: "r1"})
	defer e.End(new(record.Record))
	if again := s.latest(now.Add(time.Second / 2)); &again.now[0] != &first.now[0] {
		t.Error("half a second later it is looked again")
	}
	if later := s.latest(now.Add(time.Second)); !bytes.Contains(later.now, []byte("r1")) || &later.hour[0] != &first.hour[0] {
		t.Errorf("a second later: %s", later.now)
	}
	if later := s.latest(now.Add(rarely)); &later.hour[0] == &first.hour[0] {
		t.Error("the hour stands still")
	}
}
