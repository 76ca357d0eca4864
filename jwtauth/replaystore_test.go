package jwtauth

import (
	"errors"
	"fmt"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
	"github.com/gateway18789/caddy-ollama/ratelimit/redisconfig"
)

// While the store of used tokens is away, and none may pass without it, nobody is charged
// with what is not his fault: to be told that he has shown a token twice, and after three
// of them to be blocked.
func TestAStoreOfUsedTokensThatIsGone(t *testing.T) {
	redis := redistest.Start(t)
	handler := newHandler(t, Handler{
		Replay: "once", Redis: &redisconfig.Options{Address: redis.Address}, OnStoreFailure: "refuse",
	})
	shown := func(jti string) *answered { return ask(t, handler, bearer(t, jwt.MapClaims{"jti": jti})) }
	if a := shown("used"); a.status != 0 {
		t.Fatalf("while Redis is there: %d, %s", a.status, a.record.Reason)
	}
	if a := shown("used"); a.status != 403 || a.record.Reason != "bad_token:replayed" {
		t.Errorf("a token that was used: %d, %s", a.status, a.record.Reason)
	}

	redis.Kill()
	for i := range 4 {
		for _, jti := range []string{fmt.Sprint("new", i), "new0", "used"} {
			a := shown(jti)
			if a.status != 503 || a.record.Reason != record.StoreUnavailable || a.record.UserID != "" {
				t.Errorf("token %q without Redis: %d, %s", jti, a.status, a.record.Reason)
			}
			if a.header.Get("Retry-After") != "1" || a.header.Get("WWW-Authenticate") != "" {
				t.Errorf("its headers are %v", a.header)
			}
			if told, ok := errors.AsType[*openai.Error](a.err); !ok || told.Code != "store_unavailable" {
				t.Errorf("the client is told %v", a.err)
			}
		}
	}
	for _, test := range []struct{ name, authorization, reason string }{
		{"a token that is forged", "Bearer " + mint(t, oldSecret, jwt.MapClaims{"jti": "forged"}), "bad_token:signature"},
		{"one that has expired", bearer(t, jwt.MapClaims{"jti": "expired", "iat": now.Unix() - 300, "exp": now.Unix()}), "bad_token:expired"},
		{"one without an id", bearer(t, nil), "bad_token:claim"},
	} {
		if a := ask(t, handler, test.authorization); a.status != 403 || a.record.Reason != test.reason {
			t.Errorf("%s is excused by the outage: %d, %s", test.name, a.status, a.record.Reason)
		}
	}
}
