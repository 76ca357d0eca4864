package replay

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
)

func gateway(t *testing.T, server *redistest.Server, refuse bool) (*Shared, *atomic.Int32) {
	client := goredis.NewClient(&goredis.Options{
		Addr: server.Address, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
	})
	told := new(atomic.Int32)
	s := NewShared(client, "test", 500*time.Millisecond, 10_000, refuse, func(err error) {
		if err != nil {
			told.Add(1)
		} else {
			told.Add(100)
		}
	})
	t.Cleanup(func() {
		s.Stop()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, told
}

func TestATokenPassesOneOfManyGatewaysOnce(t *testing.T) {
	server := redistest.Start(t)
	one, _ := gateway(t, server, false)
	other, _ := gateway(t, server, false)
	now := time.Now()
	for n := range 100 {
		jti := fmt.Sprint(n)
		if !one.First("iss", jti, now.Add(time.Minute), now) {
			t.Fatal("refused the first time")
		}
		// the other's clock is wrong
		late := now.Add(37 * time.Hour)
		if other.First("iss", jti, late.Add(time.Minute), late) || one.First("iss", jti, now.Add(time.Minute), now) {
			t.Fatal("passed twice")
		}
		if !other.First("another", jti, now.Add(time.Minute), now) {
			t.Fatal("another issuer's token is refused")
		}
	}
	client := server.Client()
	defer client.Close()
	ttl := client.TTL(t.Context(), client.RandomKey(t.Context()).Val()).Val()
	if ttl <= 0 || ttl > 62*time.Second {
		t.Errorf("Redis keeps a token of a minute for %v", ttl)
	}
}

func TestTokensSeenWithoutRedisAreToldWhenItIsBack(t *testing.T) {
	server := redistest.Start(t)
	one, told := gateway(t, server, false)
	other, _ := gateway(t, server, false)
	strict, _ := gateway(t, server, true)
	now := time.Now()
	one.First("iss", "before", now.Add(time.Minute), now)
	server.Kill()
	if !one.First("iss", "a", now.Add(time.Minute), now) || one.First("iss", "a", now.Add(time.Minute), now) {
		t.Error("without Redis, a token passes not exactly once")
	}
	if strict.First("iss", "b", now.Add(time.Minute), now) {
		t.Error("a gateway that is to refuse without Redis lets a token pass")
	}
	server.Restart()
	for end := time.Now().Add(10 * time.Second); told.Load() != 101; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(errors.New("it never comes back"))
		}
	}
	for _, jti := range []string{"before", "a"} {
		if other.First("iss", jti, now.Add(time.Minute), now) {
			t.Errorf("token %q passes another gateway after Redis has forgotten it", jti)
		}
	}
}
