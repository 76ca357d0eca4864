package token_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// All these tokens are signed with the right secret.
func TestHeader(t *testing.T) {
	with := func(more string) string { return `{"alg":"HS256",` + more + `}` }
	for _, test := range []struct {
		name   string
		header string
		want   token.Fault
	}{
		{"alg alone is enough", `{"alg":"HS256"}`, ""},
		{"blanks between members do no harm", "{ \"alg\" : \"HS256\"\n}", ""},
		{"a member nobody knows does no harm", with(`"x-app":"1"`), ""},

		{"alg missing", `{"typ":"JWT"}`, token.BadAlgorithm},
		{"alg none", `{"alg":"none"}`, token.BadAlgorithm},
		{"alg noNE", `{"alg":"noNE"}`, token.BadAlgorithm},
		{"alg empty", `{"alg":""}`, token.BadAlgorithm},
		{"alg null", `{"alg":null}`, token.BadAlgorithm},
		{"alg a number", `{"alg":256}`, token.BadAlgorithm},
		{"alg an array", `{"alg":["HS256"]}`, token.BadAlgorithm},
		{"alg in small letters", `{"alg":"hs256"}`, token.BadAlgorithm},
		{"alg with a blank", `{"alg":"HS256 "}`, token.BadAlgorithm},
		{"alg HS512", `{"alg":"HS512"}`, token.BadAlgorithm},
		{"alg RS256 over an HMAC", `{"alg":"RS256"}`, token.BadAlgorithm},
		{"alg ES256 over an HMAC", `{"alg":"ES256"}`, token.BadAlgorithm},
		{"the name ALG in capitals is another name", `{"ALG":"HS256"}`, token.BadAlgorithm},
		{"alg twice", `{"alg":"HS256","alg":"HS256"}`, token.BadHeader},
		{"alg twice, one spelled with an escape", `{"alg":"none","\u0061lg":"HS256"}`, token.BadHeader},

		{"crit", with(`"crit":["exp"]`), token.BadHeader},
		{"crit empty", with(`"crit":[]`), token.BadHeader},
		{"crit null", with(`"crit":null`), token.BadHeader},
		{"b64", with(`"b64":false`), token.BadHeader},
		{"b64 true", with(`"b64":true`), token.BadHeader},
		{"zip", with(`"zip":"DEF"`), token.BadHeader},
		{"cty", with(`"cty":"JWT"`), token.BadHeader},
		{"enc", with(`"enc":"A256GCM"`), token.BadHeader},
		{"jku", with(`"jku":"https://attacker.example/keys"`), token.BadHeader},
		{"x5u", with(`"x5u":"https://attacker.example/cert"`), token.BadHeader},
		{"jwk", with(`"jwk":{"kty":"oct","k":"AAAA"}`), token.BadHeader},
		{"x5c", with(`"x5c":["AAAA"]`), token.BadHeader},

		{"typ JWT", with(`"typ":"JWT"`), ""},
		{"typ in small letters", with(`"typ":"jwt"`), ""},
		{"typ of an access token", with(`"typ":"at+jwt"`), ""},
		{"typ with its prefix", with(`"typ":"application/at+jwt"`), ""},
		{"typ with its prefix in capitals", with(`"typ":"APPLICATION/JWT"`), ""},
		{"typ of an ID token's logout", with(`"typ":"logout+jwt"`), token.BadHeader},
		{"typ JWS", with(`"typ":"JOSE"`), token.BadHeader},
		{"typ with a letter that only Unicode folds to one of it", with(`"typ":"applİcation/jwt"`), token.BadHeader},
		{"typ empty", with(`"typ":""`), token.BadHeader},
		{"typ null", with(`"typ":null`), token.BadHeader},
		{"typ a number", with(`"typ":1`), token.BadHeader},
		{"typ with a blank", with(`"typ":"JWT "`), token.BadHeader},
		{"typ with the prefix twice", with(`"typ":"application/application/jwt"`), token.BadHeader},

		{"kid", with(`"kid":"2026-11"`), ""},
		{"kid of 128 bytes", with(`"kid":"` + strings.Repeat("k", 128) + `"`), ""},
		{"kid of 129 bytes", with(`"kid":"` + strings.Repeat("k", 129) + `"`), token.BadHeader},
		{"kid of 4 KB", with(`"kid":"` + strings.Repeat("k", 4096) + `"`), token.BadHeader},
		{"kid a number", with(`"kid":1`), token.BadHeader},
		{"kid null", with(`"kid":null`), token.BadHeader},
		{"kid an object", with(`"kid":{}`), token.BadHeader},
		{"kid empty", with(`"kid":""`), token.BadHeader},
		{"kid with a NUL", with(`"kid":"a\u0000b"`), token.BadHeader},
		{"kid with a line break", with(`"kid":"a\nb"`), token.BadHeader},
		{"kid that turns the text round", with(`"kid":"a\u202eb"`), token.BadHeader},

		{"no JSON", "alg=HS256", token.BadHeader},
		{"null", "null", token.BadHeader},
		{"an array", `["HS256"]`, token.BadHeader},
		{"a string", `"HS256"`, token.BadHeader},
		{"something after the object", `{"alg":"HS256"}{}`, token.BadHeader},
		{"a comma too many", `{"alg":"HS256",}`, token.BadHeader},
		{"a byte order mark", "\ufeff" + `{"alg":"HS256"}`, token.BadHeader},
		{"invalid UTF-8", with("\"a\":\"\xff\""), token.BadHeader},
		{"a lone surrogate", with(`"a":"\ud800"`), token.BadHeader},
		{"eight levels", with(`"a":` + nested(7)), ""},
		{"nine levels", with(`"a":` + nested(8)), token.BadHeader},
		{"thousands of levels", with(`"a":` + nested(2500)), token.BadHeader},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // the second time, what is remembered of the first must not matter
				check(t, verifier, sign(test.header, goodClaims), now, test.want)
			}
		})
	}
}

// nested is an array in an array and so on, levels deep.
func nested(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}

func TestAnUnsignedTokenIsRefusedWhateverItsAlgSays(t *testing.T) {
	for _, alg := range []string{"none", "None", "NONE", "", "HS256"} {
		header := encode(fmt.Sprintf(`{"alg":%q}`, alg))
		if _, err := verifier.Verify(t.Context(), header+"."+encode(goodClaims)+".", now); err == nil {
			t.Errorf("alg %q without signature is accepted", alg)
		}
		if _, err := verifier.Verify(t.Context(), header+"."+encode(goodClaims)+".AA", now); err == nil {
			t.Errorf("alg %q with another signature is accepted", alg)
		}
	}
}
