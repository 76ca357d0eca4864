package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// What golang-jwt accepts with every strict option on, each signed with the right
// secret. Should it refuse one some day, the test says so.
func TestWhatGolangJWTAcceptsIsRefused(t *testing.T) {
	const sub, iat, exp = `"clawdbot"`, "1799999990", "1800000290"
	const boundary = `,"iss":"https://idp.example.com","aud":"ollama"}`
	bounded := func(claims string) string { return strings.TrimSuffix(claims, "}") + boundary }
	with := func(more string) string { return `{"alg":"HS256",` + more + `}` }
	v := verifier
	v.Issuer, v.Audience = "https://idp.example.com", "ollama"
	check(t, v, sign(goodHeader, bounded(goodClaims)), now, "")
	for _, test := range []struct {
		name, header, claims string
		want                 token.Fault
	}{
		{"a life of a hundred years", goodHeader, claims(sub, iat, "4953599990", ""), token.TooLong},
		{"a life of which only the last minute is left", goodHeader, claims(sub, "1700000000", "1800000060", ""), token.TooLong},
		{"no iat, though it is asked to verify that", goodHeader, claims(sub, "", exp, ""), token.BadClaims},
		{"an iat of 1e300, which overflows", goodHeader, claims(sub, "1e300", exp, ""), token.BadClaims},
		{"an iat of -1e300, which overflows", goodHeader, claims(sub, "-1e300", exp, ""), token.BadClaims},
		{"an nbf of -1e300, which overflows", goodHeader, good(`"nbf":-1e300`), token.BadClaims},
		{"an exp in milliseconds, some fifty thousand years from now", goodHeader, claims(sub, iat, "1800000290000", ""), token.BadClaims},
		{"an iat null", goodHeader, claims(sub, "null", exp, ""), token.BadClaims},
		{"an exp that is a string", goodHeader, claims(sub, iat, `"1800000290"`, ""), token.BadClaims},
		{"an iat that is a string", goodHeader, claims(sub, `"1799999990"`, exp, ""), token.BadClaims},

		{"a second exp, which counts", goodHeader, claims(sub, iat, "1", `"exp":1800000290`), token.BadClaims},
		{"a second sub, which counts", goodHeader, good(`"sub":"admin"`), token.BadClaims},
		{"a second alg, which counts", `{"alg":"none","alg":"HS256"}`, goodClaims, token.BadHeader},
		{"a second sub, spelled with an escape", goodHeader, good(`"s\u0075b":"admin"`), token.BadClaims},
		{"an EXP in capitals, which counts as exp", goodHeader, claims(sub, iat, "1799999995", `"EXP":1800000290`), token.Expired},
		{"an EXP for want of an exp", goodHeader, claims(sub, iat, "", `"EXP":1800000290`), token.BadClaims},
		{"a Sub for want of a sub", goodHeader, claims("", iat, exp, `"Sub":"admin"`), token.BadSubject},
		{"a ſub with a long s for want of a sub", goodHeader, claims("", iat, exp, `"ſub":"admin"`), token.BadSubject},
		{"a sub with a lone surrogate", goodHeader, claims(`"a\ud800"`, iat, exp, ""), token.BadClaims},
		{"a sub in invalid UTF-8", goodHeader, claims("\"a\xff\"", iat, exp, ""), token.BadClaims},
		{"thousands of levels", goodHeader, good(`"a":` + nested(2400)), token.BadClaims},
		{"something after the claims", goodHeader, bounded(goodClaims) + `{"sub":"admin"}`, token.BadClaims},

		{"an extension that must be understood", with(`"crit":["exp"],"exp":1`), goodClaims, token.BadHeader},
		{"an extension without a name that must be understood", with(`"crit":[]`), goodClaims, token.BadHeader},
		{"a payload that says it is not in base64", with(`"b64":false,"crit":["b64"]`), goodClaims, token.BadHeader},
		{"a payload that says it is compressed", with(`"zip":"DEF"`), goodClaims, token.BadHeader},
		{"a payload that says it is a token", with(`"cty":"JWT"`), goodClaims, token.BadHeader},
		{"an address of keys", with(`"jku":"https://attacker.example/keys"`), goodClaims, token.BadHeader},
		{"an address of certificates", with(`"x5u":"https://attacker.example/cert"`), goodClaims, token.BadHeader},
		{"a key", with(`"jwk":{"kty":"oct","k":"AAAA"}`), goodClaims, token.BadHeader},
		{"a certificate", with(`"x5c":["AAAA"]`), goodClaims, token.BadHeader},
		{"a kid that is a number", with(`"kid":1`), goodClaims, token.BadHeader},
		{"a kid that is a path", with(`"kid":"../../dev/null\u0000"`), goodClaims, token.BadHeader},
		{"a kid of kilobytes", with(`"kid":"` + strings.Repeat("k", 4000) + `"`), goodClaims, token.BadHeader},
		{"a typ of another kind of token", with(`"typ":"logout+jwt"`), goodClaims, token.BadHeader},
		{"a typ that is a number", with(`"typ":1`), goodClaims, token.BadHeader},

		{"no sub", goodHeader, claims("", iat, exp, ""), token.BadSubject},
		{"an empty sub", goodHeader, claims(`""`, iat, exp, ""), token.BadSubject},
		{"a sub with a line break", goodHeader, claims(`"a\nb"`, iat, exp, ""), token.BadSubject},
		{"a sub that turns the text round", goodHeader, claims(`"a\u202eb"`, iat, exp, ""), token.BadSubject},
		{"9 KB", goodHeader, good(`"fill":"` + strings.Repeat("x", 7000) + `"`), token.Malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			claims := test.claims
			if !strings.Contains(claims, boundary) {
				claims = bounded(claims)
			}
			compact := sign(test.header, claims)
			check(t, v, compact, now, test.want)
			if !golangJWTAccepts(compact) {
				t.Error("golang-jwt refuses it too: it is an oddity no more")
			}
		})
	}
}

// golangJWTAccepts reports whether golang-jwt accepts a token, read in one of its ways.
func golangJWTAccepts(compact string) bool {
	strict := []jwt.ParserOption{
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(),
		jwt.WithIssuer("https://idp.example.com"), jwt.WithAudience("ollama"), jwt.WithTimeFunc(func() time.Time { return now }),
	}
	find := func(*jwt.Token) (any, error) { return secret, nil }
	_, errMap := jwt.NewParser(strict...).Parse(compact, find)
	_, errStruct := jwt.NewParser(strict...).ParseWithClaims(compact, new(jwt.RegisteredClaims), find)
	_, errNumber := jwt.NewParser(append(strict, jwt.WithJSONNumber())...).Parse(compact, find)
	return errMap == nil || errStruct == nil || errNumber == nil
}

// Go's decoder of base64 skips line breaks, strict or not.
func TestLineBreaksThatGolangJWTSkipsAreRefused(t *testing.T) {
	sound := sign(goodHeader, good(`"iss":"https://idp.example.com","aud":"ollama"`))
	for at := range sound {
		for _, skipped := range []string{"\n", "\r\n"} {
			broken := sound[:at] + skipped + sound[at:]
			check(t, verifier, broken, now, token.Malformed)
			// a line break changes what is signed, but not the signature itself
			if at > strings.LastIndexByte(sound, '.') && !golangJWTAccepts(broken) {
				t.Fatalf("golang-jwt refuses a line break at %d too: it is an oddity no more", at)
			}
		}
	}
}

// Keys that golang-jwt verifies with, and that nobody can have here.
func TestKeysThatGolangJWTTakesAreRefused(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	const signed = "e30.e30"
	public := func(public any, algorithm string) error {
		_, err := key.Public(public, algorithm)
		return err
	}
	secret := func(value []byte, algorithm string) error {
		_, err := key.Secret(value, algorithm)
		return err
	}
	ofP224 := func() []byte { // r and s of 28 bytes each, in the 32 that ES256 has
		r, s, err := ecdsa.Sign(rand.Reader, p224, hashed(signed))
		if err != nil {
			t.Fatal(err)
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature
	}
	for _, test := range []struct {
		name      string
		method    jwt.SigningMethod
		public    any
		signature []byte
		refused   error
	}{
		{"an empty secret", jwt.SigningMethodHS256, []byte{}, mac(signed, nil), secret(nil, "HS256")},
		{"a secret of one byte", jwt.SigningMethodHS256, []byte("x"), mac(signed, []byte("x")), secret([]byte("x"), "HS256")},
		{"P-224 under ES256", jwt.SigningMethodES256, &p224.PublicKey, ofP224(), public(&p224.PublicKey, "ES256")},
		{"RSA of 1024 bits", jwt.SigningMethodRS256, &small.PublicKey, must(jwt.SigningMethodRS256.Sign(signed, small)), public(&small.PublicKey, "RS256")},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.refused == nil {
				t.Error("it is accepted")
			}
			if err := test.method.Verify(signed, test.signature, test.public); err != nil {
				t.Errorf("golang-jwt refuses it too (%v): it is an oddity no more", err)
			}
		})
	}
}
