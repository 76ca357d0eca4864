package token_test

import (
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestIssuedTokensAreAccepted(t *testing.T) {
	for _, ttl := range []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute} {
		for _, fraction := range []time.Duration{0, 1, 500 * time.Millisecond, time.Second - 1} {
			at := now.Add(fraction)
			compact, err := token.Issue(secretKeys(secret)[0], token.Claims{"sub": "clawdbot", "iat": at.Unix(), "exp": at.Add(ttl).Unix()})
			if err != nil {
				t.Fatal(err)
			}
			check(t, verifier, compact, at, "")
			check(t, verifier, compact, at.Add(ttl-time.Second), "")
			check(t, verifier, compact, at.Add(ttl), token.Expired)
			got, err := verifier.Verify(t.Context(), compact, at)
			if err != nil {
				t.Fatal(err)
			}
			if got.Subject() != "clawdbot" || len(got) != 3 {
				t.Errorf("claims are %v, want sub, iat and exp", got)
			}
		}
	}
}

func TestIssuedTokensThatLiveTooLongAreRefused(t *testing.T) {
	compact, err := token.Issue(secretKeys(secret)[0], token.Claims{"sub": "clawdbot", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	check(t, verifier, compact, now, token.TooLong)
}

// A fault may end up in a log line, never the token.
func TestAFaultSaysNothingOfTheToken(t *testing.T) {
	_, err := verifier.Verify(t.Context(), "canary.canary.canary", now)
	if got, want := err.Error(), "token refused: malformed"; got != want {
		t.Errorf("error is %q, want %q", got, want)
	}
}
