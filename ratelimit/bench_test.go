package ratelimit

import (
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkServeHTTP is what the handler costs a request: beside it, what the benchmark
// itself does for one.
func BenchmarkServeHTTP(b *testing.B) {
	passing := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		_, err := w.Write([]byte("ok"))
		return err
	})
	for _, test := range []struct{ name, config string }{
		{"nothing", ""},
		{"passes", `{"rate": "1000000/s", "burst": 1000000, "penalty": {"errors": 3, "duration": "10m"}, "concurrency": 200}`},
		{"refused", `{"rate": "1/h", "burst": 1, "penalty": {"errors": 3, "duration": "10m"}, "concurrency": 200}`},
	} {
		b.Run(test.name, func(b *testing.B) {
			serve := passing.ServeHTTP
			if test.config != "" {
				throttle := load(b, newContext(b), test.config)
				serve = func(w http.ResponseWriter, r *http.Request) error { return throttle.ServeHTTP(w, r, passing) }
			}
			bare := newRequest("192.0.2.1")
			w := discard{make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				caddyhttp.SetVar(bare.Context(), standingVar, nil) // which a request does not have when it comes
				r := bare.WithContext(record.NewContext(bare.Context(), new(record.Record)))
				_ = serve(w, r)
			}
		})
	}
}
