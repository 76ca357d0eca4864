package ollamaadapter_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
)

// reverse_proxy answers 503 by itself where no upstream is healthy, or all have as
// many requests as they may.
func TestCaddysOwn503TellsHowLongToWait(t *testing.T) {
	ctx := caddyContext(t)
	front := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.ollama_adapter", ollamaadapter.Handler{})
	onError := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.openai_error", struct{}{})
	full := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		return caddyhttp.Error(http.StatusServiceUnavailable, errors.New("no upstreams available"))
	})
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
			r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
			err := front.ServeHTTP(w, r, full)
			if err == nil {
				t.Fatalf("no error, but %d %s", w.Code, w.Body)
			}
			if err := onError.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), caddyhttp.ErrorCtxKey, err)), nil); err != nil {
				t.Fatal(err)
			}
			if w.Code != 503 {
				t.Errorf("%d", w.Code)
			}
			keepsErrorRules(t, w.Result())
		})
	}
}
