package token_test

import (
	"context"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// lacking is a source that has these keys, while others cannot be had.
type lacking struct{ key.Set }

func (l lacking) Find(ctx context.Context, algorithm, kid string) (keys []*key.Key, decoy, missing bool) {
	keys, decoy, _ = l.Set.Find(ctx, algorithm, kid)
	return keys, decoy, true
}

// A sound token of a key that cannot be had looks like a forged one; neither passes, and
// neither is called forged.
func TestWhileKeysAreMissing(t *testing.T) {
	signing, verifying := pair("ES256", "k1")
	other, ofOther := pair("EdDSA", "k1")
	_, ofThird := pair("EdDSA", "k2")
	unnamed := must(key.Secret(oldSecret, "HS256"))
	wrong := sign(goodHeader, goodClaims) // with a secret that is not there
	for _, test := range []struct {
		name  string
		keys  key.Set
		token string
		fault token.Fault
	}{
		{"with no key at all, nobody can tell", nil, issued(signing), token.KeysUnavailable},
		{"with keys of other algorithms neither", key.Set{ofOther}, issued(signing), token.KeysUnavailable},
		{"nor with another's kid", key.Set{ofThird}, issued(other), token.KeysUnavailable},
		{"nor if a key that is there has not signed it", key.Set{unnamed}, wrong, token.KeysUnavailable},
		{"a token of a key that is there passes", key.Set{verifying}, issued(signing), ""},
		{"what is no token is none", nil, "x", token.Malformed},
		{"a header that nobody makes is not excused", nil, sign(`{"alg":"ES256","crit":["x"]}`, goodClaims), token.BadHeader},
		{"nor an algorithm that nobody has", nil, sign(`{"alg":"none"}`, goodClaims), token.BadAlgorithm},
		{"of claims that are not proven nothing is told", nil, sign(`{"alg":"ES256"}`, `{"sub":"x"}`), token.KeysUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := verifier
			v.Keys = lacking{test.keys}
			check(t, v, test.token, now, test.fault)
		})
	}
}
