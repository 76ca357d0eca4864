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

// passes shows a token that lives for a minute, to a gateway that can tell.
func passes(t *testing.T, s *Shared, issuer, jti string, now time.Time) bool {
	t.Helper()
	first, err := s.First(issuer, jti, now.Add(time.Minute), now)
	if err != nil {
		t.Error(err)
	}
	return first
}

func TestATokenPassesOneOfManyGatewaysOnce(t *testing.T) {
	server := redistest.Start(t)
	one, _ := gateway(t, server, false)
	other, _ := gateway(t, server, false)
	now := time.Now()
	for n := range 100 {
		jti := fmt.Sprint(n)
		if !passes(t, one, "iss", jti, now) {
			t.Fatal("refused the first time")
		}
		// the other's clock is wrong
		late := now.Add(37 * time.Hour)
		if passes(t, other, "iss", jti, late) || passes(t, one, "iss", jti, now) {
			t.Fatal("passed twice")
		}
		if !passes(t, other, "another", jti, now) {
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

// awaitBack waits until Redis was lost and is back.
func awaitBack(t *testing.T, told *atomic.Int32) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); told.Load() != 101; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never comes back")
		}
	}
}

func TestTokensSeenWithoutRedisAreToldWhenItIsBack(t *testing.T) {
	server := redistest.Start(t)
	one, told := gateway(t, server, false)
	other, _ := gateway(t, server, false)
	now := time.Now()
	passes(t, one, "iss", "before", now)
	server.Kill()
	if !passes(t, one, "iss", "a", now) || passes(t, one, "iss", "a", now) {
		t.Error("without Redis, a token passes not exactly once")
	}
	server.Restart()
	awaitBack(t, told)
	for _, jti := range []string{"before", "a"} {
		if passes(t, other, "iss", jti, now) {
			t.Errorf("token %q passes another gateway after Redis has forgotten it", jti)
		}
	}
}

// It tells so of any token, also of one that it has refused before: who tries again has
// not shown a token twice that passed.
func TestAGatewayThatRefusesWithoutRedisUsesNoTokenUp(t *testing.T) {
	server := redistest.Start(t)
	strict, told := gateway(t, server, true)
	other, _ := gateway(t, server, true)
	now := time.Now()
	if !passes(t, strict, "iss", "before", now) {
		t.Error("with Redis a token does not pass")
	}
	server.Kill()
	for _, jti := range []string{"a", "a", "b", "before"} {
		if first, err := strict.First("iss", jti, now.Add(time.Minute), now); first || !errors.Is(err, ErrUnavailable) {
			t.Errorf("token %q: passes %v, %v", jti, first, err)
		}
	}
	server.Restart()
	awaitBack(t, told)
	for _, jti := range []string{"a", "b"} {
		if !passes(t, strict, "iss", jti, now) {
			t.Errorf("token %q, which never passed, does not when Redis is back", jti)
		}
		if passes(t, strict, "iss", jti, now) || passes(t, other, "iss", jti, now) {
			t.Errorf("token %q passes twice", jti)
		}
	}
	if passes(t, strict, "iss", "before", now) || passes(t, other, "iss", "before", now) {
		t.Error("a token that passed before Redis was gone passes again")
	}
}
