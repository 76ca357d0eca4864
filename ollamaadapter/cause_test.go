package ollamaadapter_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// A client of HTTP/3 that closes its connection, or whose connection dies, ends its request
// with an error of QUIC. That is nothing to leave out an Ollama for.
func TestAClientOfHTTP3ThatLeavesIsNoFailureOfAnOllama(t *testing.T) {
	for name, test := range map[string]struct {
		cause  error
		reason string
		plain  error
	}{
		"its connection is closed":   {errors.New("Application error 0x10c (remote)"), record.ClientGone, context.Canceled},
		"its stream is reset":        {context.Canceled, record.ClientGone, context.Canceled},
		"the operator has cancelled": {record.ErrCancelled, record.Cancelled, record.ErrCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			h := load[caddyhttp.MiddlewareHandler](t, caddyContext(t), "http.handlers.ollama_adapter", ollamaadapter.Handler{CoalesceLoads: new(bool)})
			ollama := ollamatest.NewHandler(ollamatest.Says("m"))
			ctx, leave := context.WithCancelCause(t.Context())
			var upstreamTold error
			next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				if r.URL.Path != "/api/chat" {
					ollama.ServeHTTP(w, r)
					return nil
				}
				leave(test.cause)
				<-r.Context().Done()
				upstreamTold = context.Cause(r.Context())
				return caddyhttp.Error(http.StatusBadGateway, upstreamTold)
			})
			rec := &record.Record{Start: time.Now()}
			r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(saying(`"stream":true`)))
			r.ProtoMajor, r.ProtoMinor, r.Proto = 3, 0, "HTTP/3.0"
			r = r.WithContext(record.NewContext(ctx, rec))
			w := httptest.NewRecorder()
			_ = h.ServeHTTP(w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server)), next)
			if upstreamTold != test.plain || !errors.Is(upstreamTold, context.Canceled) {
				t.Errorf("reverse_proxy is told %v", upstreamTold)
			}
			if rec.Reason != test.reason {
				t.Errorf("the record says %s", rec.Reason)
			}
		})
	}
}
