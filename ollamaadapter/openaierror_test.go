package ollamaadapter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/logging" // for the log in a file

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

func errorHandler(t *testing.T, ctx caddy.Context) caddyhttp.MiddlewareHandler {
	t.Helper()
	return load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.openai_error", struct{}{})
}

func TestOpenAIError(t *testing.T) {
	own := &openai.Error{Message: "own words", Type: "own_type", Param: "own.param", Code: "own_code"}
	const ownBody = `{"error":{"message":"own words","type":"own_type","param":"own.param","code":"own_code"}}`
	internal := string(openai.ErrorOf(500).JSON())
	handler := errorHandler(t, caddyContext(t))
	for _, test := range []struct {
		name   string
		cause  error
		status int
		body   string
	}{
		{"an error of ours has its own words", caddyhttp.Error(400, own), 400, ownBody},
		{"an error of ours deep within another", caddyhttp.Error(502, fmt.Errorf("CANARY: %w", own)), 502, ownBody},
		{"an error of ours without a status", own, 500, ownBody},
		{"an error of somebody else's has words by its status", caddyhttp.Error(403, errors.New("CANARY")), 403, string(openai.ErrorOf(403).JSON())},
		{"so has one that is wrapped", fmt.Errorf("CANARY: %w", caddyhttp.Error(429, errors.New("CANARY"))), 429, string(openai.ErrorOf(429).JSON())},
		{"so has one that is nothing but a status", caddyhttp.Error(404, nil), 404, string(openai.ErrorOf(404).JSON())},
		{"an error without a status is internal", errors.New("CANARY"), 500, internal},
		{"an error with the status 0 is internal", caddyhttp.HandlerError{Err: errors.New("CANARY")}, 500, internal},
		{"no error at all is internal", nil, 500, internal},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := t.Context()
			if test.cause != nil {
				ctx = context.WithValue(ctx, caddyhttp.ErrorCtxKey, test.cause)
			}
			w := httptest.NewRecorder()
			if err := handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil), nil); err != nil {
				t.Fatal(err)
			}
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("%d: %s\nwant %d: %s", w.Code, w.Body, test.status, test.body)
			}
		})
	}
}

// The client is told nothing of a failure's cause; so the log has to.
func TestTheCauseOfAServerErrorIsLogged(t *testing.T) {
	for status, want := range map[int]bool{400: false, 403: false, 429: false, 499: false, 500: true, 502: true, 503: true} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			handler := errorHandler(t, loggingTo(t, `{"output":"file","roll":false,"filename":"`+log+`"}`))
			ctx := context.WithValue(t.Context(), caddyhttp.ErrorCtxKey, caddyhttp.Error(status, errors.New(canary)))
			w := httptest.NewRecorder()
			w.Header().Set("X-Request-Id", "request-1")
			if err := handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil), nil); err != nil {
				t.Fatal(err)
			}
			lines, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Contains(string(lines), canary) && strings.Contains(string(lines), `"request_id":"request-1"`)
			if got != want || strings.Contains(w.Body.String(), canary) {
				t.Errorf("log %q, answer %s", lines, w.Body)
			}
		})
	}
}

func TestHeadersOfAnErrorAnswer(t *testing.T) {
	w := httptest.NewRecorder()
	for _, name := range []string{
		"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Content-Type", "Cache-Control",
		"Retry-After", "Www-Authenticate", "Allow", "X-Request-Id", "X-Conversation-Id",
	} {
		w.Header().Set(name, "before")
	}
	ctx := context.WithValue(t.Context(), caddyhttp.ErrorCtxKey, caddyhttp.Error(429, nil))
	handler := errorHandler(t, caddyContext(t))
	if err := handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil), nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		// of the answer that the error came instead of
		"Content-Length": nil, "Content-Encoding": nil, "Etag": nil, "Last-Modified": nil,
		// of the error answer
		"Content-Type": {"application/json"}, "Cache-Control": {"no-store"},
		// of the handlers that have made the error
		"Retry-After": {"before"}, "Www-Authenticate": {"before"}, "Allow": {"before"},
		"X-Request-Id": {"before"}, "X-Conversation-Id": {"before"},
	} {
		if got := w.Header().Values(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestAnErrorAnswerThatCannotBeWrittenIsReported(t *testing.T) {
	gone := errors.New("the client has left")
	ctx := context.WithValue(t.Context(), caddyhttp.ErrorCtxKey, caddyhttp.Error(500, nil))
	err := errorHandler(t, caddyContext(t)).ServeHTTP(brokenWriter{httptest.NewRecorder(), gone}, httptest.NewRequestWithContext(ctx, "GET", "/", nil), nil)
	if !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

// brokenWriter is a connection that no longer takes anything.
type brokenWriter struct {
	http.ResponseWriter
	err error
}

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }
