package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ollama is an Ollama that answers so, and how often it was asked.
func ollama(t *testing.T, answer http.HandlerFunc) (l *loaded, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/api/ps" || r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	address, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	l = newLoaded(ctx, address)
	t.Cleanup(l.close)
	return l, asked
}

// settle waits until a question is answered.
func (l *loaded) settle(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		asking := l.asking
		l.mu.Unlock()
		if !asking {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the question is never over")
		}
	}
}

func write(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

func TestWhatOllamaHasLoaded(t *testing.T) {
	many := `{"models":[` + strings.TrimSuffix(strings.Repeat(`{"name":"m"},`, 60), ",") + `]}`
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		models int
		fault  bool
	}{
		{"a model", write(`{"models":[{"name":"qwen3:32b","size":21,"size_vram":20,"context_length":32768,"expires_at":"2026-01-02T03:04:05.6+02:00","details":{"x":1}}]}`), 1, false},
		{"none", write(`{"models":[]}`), 0, false},
		{"more than are shown", write(many), mostModels, false},
		{"no JSON", write(`<html>`), 0, true},
		{"too long an answer", write(`{"models":[` + strings.Repeat(" ", longestAnswer) + `]}`), 0, true},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 0, true},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/api/tags", http.StatusFound) }, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, _ := ollama(t, test.answer)
			if first := l.latest(time.Now()); first.Known {
				t.Errorf("known before it is asked: %+v", first)
			}
			l.settle(t)
			got := l.latest(time.Now())
			if !got.Known || len(got.Models) != test.models || (got.Fault != "") != test.fault {
				t.Errorf("%+v", got)
			}
			if test.name == "a model" {
				m := got.Models[0]
				if m.Name != "qwen3:32b" || m.Size != 21 || m.VRAM != 20 || m.Context != 32768 || m.Expires.Unix() != 1767315845 {
					t.Errorf("%+v", m)
				}
			}
		})
	}
}

func TestOllamaIsAskedOnlyWhileSomebodyLooksAndNotTooOften(t *testing.T) {
	l, asked := ollama(t, write(`{"models":[]}`))
	now := time.Now()
	for _, step := range []struct {
		after time.Duration
		asked int64
	}{{0, 1}, {time.Second, 1}, {askEvery, 2}, {askEvery + time.Second, 2}, {time.Hour, 3}} {
		l.latest(now.Add(step.after))
		l.settle(t)
		if asked.Load() != step.asked {
			t.Errorf("after %v asked %d times", step.after, asked.Load())
		}
	}
}

func TestAnOllamaThatHangsIsNotWaitedFor(t *testing.T) {
	l, asked := ollama(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	now := time.Now()
	l.latest(now)
	l.latest(now.Add(time.Hour)) // it still hangs: no second question
	l.mu.Lock()
	if l.asked != now {
		t.Error("it is asked again though it has not answered")
	}
	l.mu.Unlock()
	if l.settle(t); asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	if took := time.Since(now); took < askTimeout || took > 2*askTimeout {
		t.Errorf("given up after %v", took)
	}
	if got := l.latest(now); got.Fault == "" {
		t.Errorf("%+v", got)
	}
}
