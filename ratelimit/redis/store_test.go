package redis_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/gateway18789/caddy-ollama/ratelimit/redis"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
	"github.com/gateway18789/caddy-ollama/ratelimit/storetest"
)

// open returns a gateway's zone, which ends with the test.
func open(t testing.TB, client goredis.UniversalClient, change func(*redis.Config)) *redis.Zone {
	t.Helper()
	config := redis.Config{
		Client: client, Prefix: "test", Name: t.Name(), Timeout: time.Second, OnFailure: redis.Local, Clock: time.Now,
	}
	if change != nil {
		change(&config)
	}
	z := redis.New(config)
	t.Cleanup(func() {
		done := make(chan struct{})
		z.Stop(func() { close(done) })
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("requests are still in flight")
		}
	})
	return z
}

func clientOf(t testing.TB, addresses ...string) goredis.UniversalClient {
	client := goredis.NewUniversalClient(&goredis.UniversalOptions{
		Addrs: addresses, IsClusterMode: len(addresses) > 1, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1,
		ContextTimeoutEnabled: true, PoolSize: 64,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestZoneIsAStoreOnRedis(t *testing.T) {
	client := clientOf(t, redistest.Start(t).Address)
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		return storetest.Subject{Store: open(t, client, nil), Advance: time.Sleep}
	})
}

func TestZoneIsAStoreOnACluster(t *testing.T) {
	client := clientOf(t, redistest.Cluster(t)...)
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		return storetest.Subject{Store: open(t, client, nil), Advance: time.Sleep}
	})
}

func TestZoneIsAStoreOnMiniredis(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		server := miniredis.RunT(t)
		now := time.Unix(1_700_000_000, 0)
		server.SetTime(now)
		return storetest.Subject{
			Store: open(t, clientOf(t, server.Addr()), nil),
			Advance: func(d time.Duration) {
				now = now.Add(d)
				server.SetTime(now)
				server.FastForward(d)
			},
			Frozen: true,
		}
	})
}
