package bench

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	_ "github.com/mholt/caddy-ratelimit"

	_ "github.com/gateway18789/caddy-ollama/ratelimit"
)

// BenchmarkHandler compares whole handlers, for caddy-ratelimit's limiter is to be
// had only within its own.
func BenchmarkHandler(b *testing.B) {
	addresses := make([]string, 100_000)
	for n := range addresses {
		addresses[n] = address(uint32(n))
	}
	for _, handler := range []struct{ name, module, config string }{
		{"ip_throttle", "http.handlers.ip_throttle",
			`{"rate":"5/s","burst":10,"penalty":{"errors":3,"duration":"10m"},"concurrency":200}`},
		{"caddy-ratelimit", "http.handlers.rate_limit",
			`{"rate_limits":{"zone":{"key":"{http.vars.client_ip}","window":"2s","max_events":10}}}`},
	} {
		b.Run(handler.name, func(b *testing.B) {
			storage, _ := json.Marshal(map[string]string{"module": "file_system", "root": b.TempDir()})
			base, err := caddy.ProvisionContext(&caddy.Config{StorageRaw: storage})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := caddy.NewContext(base)
			defer cancel()
			module, err := ctx.LoadModuleByID(handler.module, []byte(handler.config))
			if err != nil {
				b.Fatal(err)
			}
			h := module.(caddyhttp.MiddlewareHandler)
			next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(http.StatusOK)
				return nil
			})
			b.SetParallelism(8)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				random := rand.New(rand.NewPCG(rand.Uint64(), 0))
				bare, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, "/", nil)
				for pb.Next() {
					r := caddyhttp.PrepareRequest(bare, caddy.NewReplacer(), nil, nil)
					caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, addresses[random.IntN(len(addresses))])
					_ = h.ServeHTTP(httptest.NewRecorder(), r, next)
				}
			})
		})
	}
}
