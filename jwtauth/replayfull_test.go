package jwtauth

import (
	"errors"
	"fmt"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/replay"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// A memory that is full lets nobody in, but that is no fault of a token that it could not
// remember; and the operator has to hear of it.
func TestAMemoryOfUsedTokensThatIsFull(t *testing.T) {
	handler := newHandler(t, Handler{Replay: "once"})
	handler.replayed = replay.New(16)
	shown := func(jti string) *answered { return ask(t, handler, bearer(t, jwt.MapClaims{"jti": jti})) }
	var passed string
	full := 0
	for i := range 64 {
		jti := fmt.Sprint(i)
		switch a := shown(jti); {
		case a.status == 0:
			passed = jti
		case a.status != 503 || a.record.Reason != record.StoreUnavailable || a.header.Get("Retry-After") != "30":
			t.Fatalf("a new token: %d, %s, %v", a.status, a.record.Reason, a.header)
		default:
			full++
			if told, ok := errors.AsType[*openai.Error](a.err); !ok || told.Code != "store_unavailable" || !errors.Is(a.err, replay.ErrFull) {
				t.Errorf("the error is %v", a.err)
			}
		}
	}
	if full == 0 || passed == "" {
		t.Fatalf("of 64 tokens %d found it full", full)
	}
	if a := shown(passed); a.status != 403 || a.record.Reason != "bad_token:replayed" {
		t.Errorf("a token that was used: %d, %s", a.status, a.record.Reason)
	}
}
