package jwtauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// BenchmarkServeHTTP is what the handler costs a request: beside it, what the benchmark
// itself does for one.
func BenchmarkServeHTTP(b *testing.B) {
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	for _, test := range []struct {
		name   string
		config *Handler // nil: none
		more   jwt.MapClaims
	}{
		{"nothing", nil, nil},
		{"HS256", &Handler{}, nil},
		{"HS256, all there is to check", &Handler{
			Secrets: secrets(oldSecret, secret), Issuer: "https://login.example.com/", Audience: "gateway", ModelsClaim: "models",
		}, jwt.MapClaims{
			"iss": "https://login.example.com/", "aud": "gateway", "models": []string{"qwen3:*"}, "nbf": now.Unix(),
			"jti": "0b84f6e1-8c6e-4b0c-9bb8-0a5d0b8f0a11", "scope": "chat embeddings",
		}},
	} {
		b.Run(test.name, func(b *testing.B) {
			serve := next.ServeHTTP
			if test.config != nil {
				handler := newHandler(b, *test.config)
				serve = func(w http.ResponseWriter, r *http.Request) error { return handler.ServeHTTP(w, r, next) }
			}
			authorization := []string{"Bearer " + mint(b, secret, test.more)}
			w := httptest.NewRecorder()
			bare := caddyhttp.PrepareRequest(httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil), caddy.NewReplacer(), w, nil)
			b.ReportAllocs()
			for b.Loop() {
				ctx := context.WithValue(bare.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
				r := bare.WithContext(record.NewContext(ctx, new(record.Record)))
				r.Header["Authorization"] = authorization
				if err := serve(w, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
