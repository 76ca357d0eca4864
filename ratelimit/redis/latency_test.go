package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
	"github.com/gateway18789/caddy-ollama/ratelimit/storetest"
)

// A slow Redis costs each request its timeout at most, and soon nothing.
func TestASlowRedis(t *testing.T) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxics write to the standard error
	server := redistest.Start(t)
	for _, latency := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond} {
		t.Run(latency.String(), func(t *testing.T) {
			proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "redis", "127.0.0.1:0", server.Address)
			if err := proxy.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(proxy.Stop)
			const timeout = 50 * time.Millisecond
			z := open(t, clientOf(t, proxy.Listen), func(c *redis.Config) { c.Timeout = timeout })
			p := limit.Policy{Interval: time.Hour, Burst: 1000}
			time.Sleep(100 * time.Millisecond) // connected, as a gateway is that runs
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
				`{"type":"latency","stream":"downstream","attributes":{"latency":%d}}`, latency.Milliseconds()))); err != nil {
				t.Fatal(err)
			}
			var took []time.Duration
			for n := range 200 {
				began := time.Now()
				d := z.Admit(storetest.Client(n), &p)
				took = append(took, time.Since(began))
				if d.Ticket == nil {
					t.Fatalf("request %d: %v", n, d.Reason)
				}
				d.Ticket.Release(200)
			}
			slices.Sort(took)
			t.Logf("median %v, p99 %v, slowest %v; alone: %v", took[100], took[197], took[199], z.Down())
			if slowest := took[199]; slowest > timeout+50*time.Millisecond {
				t.Errorf("a decision took %v", slowest)
			}
			if latency > timeout && !z.Down() {
				t.Error("it goes on asking a Redis that is too slow")
			}
		})
	}
}
