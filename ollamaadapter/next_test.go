package ollamaadapter_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
)

// before asks a handler with this one behind it, without a server around both.
func before(t *testing.T, next caddyhttp.HandlerFunc, body io.Reader) (*httptest.ResponseRecorder, *record.Record, error) {
	t.Helper()
	adapter := load[caddyhttp.MiddlewareHandler](t, caddyContext(t), "http.handlers.ollama_adapter", ollamaadapter.Handler{})
	w := httptest.NewRecorder()
	rec := new(record.Record)
	r := httptest.NewRequestWithContext(record.NewContext(t.Context(), rec), "POST", "/v1/chat/completions", body)
	err := adapter.ServeHTTP(w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server)), next)
	return w, rec, err
}

func statusOf(err error) int {
	he, _ := errors.AsType[caddyhttp.HandlerError](err)
	return he.StatusCode
}

// With no upstream to choose, and in other cases, reverse_proxy knows best.
func TestErrorsOfTheNextHandlerGoOn(t *testing.T) {
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) {
			cause := caddyhttp.Error(http.StatusServiceUnavailable, errors.New("no upstreams available"))
			_, _, err := before(t, func(http.ResponseWriter, *http.Request) error { return cause }, strings.NewReader(body))
			if !errors.Is(err, cause.Err) || statusOf(err) != 503 {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNoUpstreamAtAllTellsTheOperatorWhatIsMissing(t *testing.T) {
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) {
			_, _, err := before(t, func(http.ResponseWriter, *http.Request) error { return nil }, strings.NewReader(body))
			if statusOf(err) != 500 || !strings.Contains(err.Error(), "put reverse_proxy behind ollama_adapter") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnErrorOfTheNextHandlerMidStreamIsAnErrorEvent(t *testing.T) {
	w, rec, err := before(t, func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, firstLine)
		return errors.New("CANARY")
	}, strings.NewReader(both["streamed"]))
	if err != nil || rec.Reason != record.UpstreamError {
		t.Errorf("error %v, reason %q", err, rec.Reason)
	}
	got := eventsOf(&http.Response{Body: io.NopCloser(w.Body)}).story(t)
	if want := []string{"role assistant", "hello", "error upstream_error"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInterimAnswersAreNotTheAnswer(t *testing.T) {
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) {
			w, _, err := before(t, func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(http.StatusOK)
				_, err := io.WriteString(w, finalLine)
				return err
			}, strings.NewReader(body))
			if err != nil || w.Code != 200 || !strings.Contains(w.Body.String(), "assistant") {
				t.Errorf("%d, %v: %s", w.Code, err, w.Body)
			}
		})
	}
}

// Only the panic that stands for a broken answer is understood here.
func TestOtherPanicsGoOn(t *testing.T) {
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) {
			defer func() {
				if p := recover(); p != "a bug" {
					t.Errorf("recovered %v", p)
				}
			}()
			_, _, err := before(t, func(http.ResponseWriter, *http.Request) error { panic("a bug") }, strings.NewReader(body))
			t.Errorf("returned %v", err)
		})
	}
}

func TestErrorsOfReadingTheBody(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want int
	}{
		{"Caddy's own request_body knows its status", caddyhttp.Error(http.StatusRequestTimeout, errors.New("too slow")), 408},
		{"any other error is a bad request", errors.New("CANARY"), 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := before(t, func(http.ResponseWriter, *http.Request) error {
				t.Error("the next handler was asked")
				return nil
			}, failingReader{test.err})
			if statusOf(err) != test.want {
				t.Errorf("got %v", err)
			}
			if test.want == 400 && strings.Contains(err.Error(), canary) {
				t.Errorf("the error repeats %v", err)
			}
		})
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
