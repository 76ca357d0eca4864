package token_test

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// All these tokens are signed with the right secret.
func TestClaims(t *testing.T) {
	const sub, iat, exp = `"clawdbot"`, "1799999990", "1800000290"
	subject := func(s string) string { return claims(s, iat, exp, "") }
	for _, test := range []struct {
		name   string
		claims string
		want   token.Fault
	}{
		{"sub, iat and exp are enough", good(""), ""},
		{"a claim nobody knows does no harm", good(`"team":{"name":"x"}`), ""},

		{"exp missing", claims(sub, iat, "", ""), token.BadClaims},
		{"iat missing", claims(sub, "", exp, ""), token.BadClaims},
		{"exp a string", claims(sub, iat, `"1800000290"`, ""), token.BadClaims},
		{"iat a string", claims(sub, `"1799999990"`, exp, ""), token.BadClaims},
		{"nbf a string", good(`"nbf":"1799999990"`), token.BadClaims},
		{"exp null", claims(sub, iat, "null", ""), token.BadClaims},
		{"nbf null", good(`"nbf":null`), token.BadClaims},
		{"exp true", claims(sub, iat, "true", ""), token.BadClaims},
		{"exp an array", claims(sub, iat, "[1800000290]", ""), token.BadClaims},
		{"exp 1e300", claims(sub, iat, "1e300", ""), token.BadClaims},
		{"exp 1e400, which no float64 holds", claims(sub, iat, "1e400", ""), token.BadClaims},
		{"iat -1e300", claims(sub, "-1e300", exp, ""), token.BadClaims},
		{"iat 1e300", claims(sub, "1e300", exp, ""), token.BadClaims},
		{"exp of 64 bits", claims(sub, iat, "9223372036854775807", ""), token.BadClaims},
		{"exp negative", claims(sub, iat, "-1800000290", ""), token.BadClaims},
		{"iat negative", claims(sub, "-1", exp, ""), token.BadClaims},
		{"iat zero", claims(sub, "0", exp, ""), token.BadClaims},
		{"nbf zero", good(`"nbf":0`), token.BadClaims},
		{"exp in milliseconds", claims(sub, iat, "1800000290000", ""), token.BadClaims},
		{"iat in milliseconds", claims(sub, "1799999990000", exp, ""), token.BadClaims},
		{"all in milliseconds", claims(sub, "1799999990000", "1800000290000", ""), token.BadClaims},
		{"exp with a fraction", claims(sub, iat, "1800000289.5", ""), ""},
		{"exp with an exponent", claims(sub, iat, "1.80000029e9", ""), ""},
		{"exp NaN", claims(sub, iat, "NaN", ""), token.BadClaims},

		{"exp twice", good(`"exp":1800000290`), token.BadClaims},
		{"sub twice", good(`"sub":"admin"`), token.BadClaims},
		{"sub twice, one spelled with an escape", good(`"s\u0075b":"admin"`), token.BadClaims},
		{"a duplicate further in", good(`"a":{"b":1,"b":2}`), token.BadClaims},
		{"EXP in capitals is another claim", claims(sub, iat, "1799999995", `"EXP":1800000290`), token.Expired},
		{"EXP cannot stand for exp", claims(sub, iat, "", `"EXP":1800000290`), token.BadClaims},
		{"Sub cannot stand for sub", claims("", iat, exp, `"Sub":"admin"`), token.BadSubject},
		{"ſub with a long s cannot stand for sub", claims("", iat, exp, `"ſub":"admin"`), token.BadSubject},

		{"sub missing", claims("", iat, exp, ""), token.BadSubject},
		{"sub empty", subject(`""`), token.BadSubject},
		{"sub null", subject("null"), token.BadSubject},
		{"sub a number", subject("7"), token.BadSubject},
		{"sub an array", subject(`["clawdbot"]`), token.BadSubject},
		{"sub beyond ASCII", subject(`"小爪"`), ""},
		{"sub with a slash and a colon", subject(`"spiffe://corp/clawdbot:1"`), ""},
		{"sub of 256 bytes", subject(`"` + strings.Repeat("s", 256) + `"`), ""},
		{"sub of 257 bytes", subject(`"` + strings.Repeat("s", 257) + `"`), token.BadSubject},
		{"sub with a line feed", subject(`"a\nb"`), token.BadSubject},
		{"sub with a carriage return", subject(`"a\rb"`), token.BadSubject},
		{"sub with a tab", subject(`"a\tb"`), token.BadSubject},
		{"sub with a NUL", subject(`"a\u0000b"`), token.BadSubject},
		{"sub with an escape of the terminal", subject(`"a\u001b[2Jb"`), token.BadSubject},
		{"sub with DEL", subject(`"a\u007fb"`), token.BadSubject},
		{"sub with a C1 control", subject(`"a\u009bb"`), token.BadSubject},
		{"sub that turns the text round", subject(`"a\u202eb"`), token.BadSubject},
		{"sub with an isolate", subject(`"a\u2066b"`), token.BadSubject},
		{"sub with a right-to-left mark", subject(`"a\u200fb"`), token.BadSubject},
		{"sub with a line separator", subject(`"a\u2028b"`), token.BadSubject},
		{"sub with a paragraph separator", subject(`"a\u2029b"`), token.BadSubject},
		{"sub with a control character unescaped", subject("\"a\x01b\""), token.BadClaims},
		{"sub in invalid UTF-8", subject("\"a\xffb\""), token.BadClaims},
		{"sub in overlong UTF-8", subject("\"a\xc0\xafb\""), token.BadClaims},
		{"sub with a lone surrogate", subject(`"a\ud800b"`), token.BadClaims},
		{"sub with a lone low surrogate", subject(`"a\udc00b"`), token.BadClaims},
		{"sub with a surrogate pair", subject(`"a\ud83d\udc4bb"`), ""},
		{"a lone surrogate in another claim", good(`"a":"\udead"`), token.BadClaims},

		{"eight levels", good(`"a":` + nested(7)), ""},
		{"nine levels", good(`"a":` + nested(8)), token.BadClaims},
		{"thousands of levels", good(`"a":` + nested(2500)), token.BadClaims},
		{"no JSON", "sub=clawdbot", token.BadClaims},
		{"null", "null", token.BadClaims},
		{"an array", "[" + goodClaims + "]", token.BadClaims},
		{"an object after the object", goodClaims + "{}", token.BadClaims},
		{"a brace after the object", goodClaims + "}", token.BadClaims},
		{"a NUL after the object", goodClaims + "\x00", token.BadClaims},
		{"a blank after the object does no harm", goodClaims + " \n", ""},
		{"half an object", goodClaims[:20], token.BadClaims},
		{"a comment", "/**/" + goodClaims, token.BadClaims},
	} {
		t.Run(test.name, func(t *testing.T) {
			check(t, verifier, sign(goodHeader, test.claims), now, test.want)
		})
	}
}

func TestIssuerAndAudience(t *testing.T) {
	v := verifier
	v.Issuer, v.Audience = "https://idp.example.com", "ollama"
	const iss, aud = `"iss":"https://idp.example.com"`, `"aud":"ollama"`
	for _, test := range []struct {
		name string
		more string
		want token.Fault
	}{
		{"both right", iss + "," + aud, ""},
		{"issuer missing", aud, token.BadIssuer},
		{"issuer another", `"iss":"https://idp.example.org",` + aud, token.BadIssuer},
		{"issuer with a slash more", `"iss":"https://idp.example.com/",` + aud, token.BadIssuer},
		{"issuer in capitals", `"iss":"HTTPS://IDP.EXAMPLE.COM",` + aud, token.BadIssuer},
		{"issuer an array", `"iss":["https://idp.example.com"],` + aud, token.BadIssuer},
		{"issuer null", `"iss":null,` + aud, token.BadIssuer},
		{"audience missing", iss, token.BadAudience},
		{"audience another", iss + `,"aud":"vllm"`, token.BadAudience},
		{"audience in capitals", iss + `,"aud":"Ollama"`, token.BadAudience},
		{"audience the beginning of ours", iss + `,"aud":"olla"`, token.BadAudience},
		{"audience an array with ours", iss + `,"aud":["vllm","ollama"]`, ""},
		{"audience an array without ours", iss + `,"aud":["vllm","x"]`, token.BadAudience},
		{"audience an empty array", iss + `,"aud":[]`, token.BadAudience},
		{"audience an array in an array", iss + `,"aud":[["ollama"]]`, token.BadAudience},
		{"audience an array of other things", iss + `,"aud":[1,null,{"a":"ollama"}]`, token.BadAudience},
		{"audience an object", iss + `,"aud":{"ollama":true}`, token.BadAudience},
		{"audience null", iss + `,"aud":null`, token.BadAudience},
	} {
		t.Run(test.name, func(t *testing.T) {
			check(t, v, sign(goodHeader, good(test.more)), now, test.want)
		})
	}
	t.Run("of a verifier that asks for none, any will do", func(t *testing.T) {
		check(t, verifier, sign(goodHeader, good(`"iss":"x","aud":["y"]`)), now, "")
	})
}
