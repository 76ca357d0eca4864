package token_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

var (
	secret    = []byte("the-secret-of-these-tests-is-long-enough")
	oldSecret = []byte("the-old-secret-of-these-tests-is-long-too")

	// now is when the tokens of these tests are verified.
	now = time.Unix(1_800_000_000, 0)

	verifier = token.Verifier{Keys: secretKeys(secret), MaxLifetime: 5 * time.Minute}
)

const (
	goodHeader = `{"alg":"HS256","typ":"JWT"}`
	goodClaims = `{"sub":"clawdbot","iat":1799999990,"exp":1800000290}`
)

// secretKeys are HS256 keys.
func secretKeys(secrets ...[]byte) (set key.Set) {
	for _, secret := range secrets {
		k, err := key.Secret(secret, "HS256")
		if err != nil {
			panic(err)
		}
		set = append(set, k)
	}
	return set
}

func encode(part string) string { return base64.RawURLEncoding.EncodeToString([]byte(part)) }

func mac(signed string, key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(signed))
	return h.Sum(nil)
}

// sign makes a token of header and claims just as they are written.
func sign(header, claims string) string {
	signed := encode(header) + "." + encode(claims)
	return signed + "." + encode(string(mac(signed, secret)))
}

// claims are sound ones but for what is changed: `"exp":1` replaces exp, and so
// on; an empty value leaves the claim out.
func claims(sub, iat, exp, more string) string {
	s, sep := "{", ""
	for _, member := range [][2]string{{"sub", sub}, {"iat", iat}, {"exp", exp}} {
		if member[1] != "" {
			s += fmt.Sprintf("%s%q:%s", sep, member[0], member[1])
			sep = ","
		}
	}
	if more != "" {
		s += sep + more
	}
	return s + "}"
}

// good are sound claims and one thing more.
func good(more string) string { return claims(`"clawdbot"`, "1799999990", "1800000290", more) }

// check expects Verify to refuse the token with the fault, or to accept it if
// fault is empty.
func check(t *testing.T, v token.Verifier, compact string, at time.Time, fault token.Fault) {
	t.Helper()
	got, err := v.Verify(t.Context(), compact, at)
	if fault == "" {
		if err != nil || got.Subject() == "" {
			t.Errorf("refused (%v), want it accepted", err)
		}
		return
	}
	if err == nil {
		t.Fatalf("accepted, want it refused: %s", fault)
	}
	if f, ok := errors.AsType[token.Fault](err); !ok || f != fault {
		t.Errorf("refused with %v, want %s", err, fault)
	}
	if got != nil {
		t.Error("claims come with the refusal")
	}
}
