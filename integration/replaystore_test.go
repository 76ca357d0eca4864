package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
)

// While Redis is away no token passes a gateway that is to refuse. But nobody has shown one
// twice by that, nor is blocked for ten minutes; and who tries again gets in once it is back.
func TestAnOutageOfTheStoreOfUsedTokensBlocksNobody(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	g := startGatewayWith(t, scripted(t).Address(),
		"max_lifetime 5m", fmt.Sprintf("replay once\n store redis {\n address %s\n timeout 1s\n }\n on_store_failure refuse\n", redis.Address))
	token := func(id string) string {
		now := time.Now()
		return signedToken(t, jwtSecret, jwt.MapClaims{"sub": "bot", "jti": id, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()})
	}
	bot := g.from("127.0.0.2")
	ask := func(id string) answer { return g.mustPost(bot, token(id), chatBody("hello", false)) }
	if a := ask("before"); a.status != 200 {
		t.Fatalf("with Redis: %d %s", a.status, a.body)
	}

	redis.Kill()
	for range 6 { // twice what ip_throttle forgives
		a := ask("again")
		if a.status != 503 || a.errorCode() != "store_unavailable" || a.header.Get("Retry-After") != "1" {
			t.Errorf("without Redis: %d %s, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
		}
		checkRecord(t, g.recordOf(a), record{"http.response.status_code": 503, "event.outcome": "failure", "event.reason": "store_unavailable"})
	}

	redis.Restart()
	await(t, "Redis being back", func() error {
		if !strings.Contains(g.output.String(), "the memory of tokens that gateways share is back") {
			return errors.New("not yet")
		}
		return nil
	})
	if a := ask("again"); a.status != 200 {
		t.Errorf("a token that has not passed yet: %d %s", a.status, a.body)
	}
	for _, id := range []string{"again", "before"} {
		checkRecord(t, g.recordOf(ask(id)), record{"http.response.status_code": 403, "event.reason": "bad_token:replayed"})
	}
}
