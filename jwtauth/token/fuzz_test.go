package token_test

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzVerify expects that no text is accepted but one that our secret has signed,
// in its only spelling.
func FuzzVerify(f *testing.F) {
	sound := sign(goodHeader, goodClaims)
	f.Add(sound)
	f.Add(sound + "=")
	f.Add(strings.Replace(sound, ".", "..", 1))
	f.Add(sign(`{"alg":"none"}`, goodClaims))
	f.Add(sign(goodHeader, good(`"exp":1`)))
	f.Add("..")
	f.Fuzz(func(t *testing.T, compact string) {
		got, err := verifier.Verify(t.Context(), compact, now)
		if err != nil {
			return
		}
		cut := strings.LastIndexByte(compact, '.')
		signature, err := base64.RawURLEncoding.Strict().DecodeString(compact[cut+1:])
		if err != nil || !hmac.Equal(signature, mac(compact[:cut], secret)) {
			t.Fatalf("%q is accepted and not signed", compact)
		}
		if got.Subject() == "" {
			t.Fatalf("%q is accepted without subject", compact)
		}
	})
}

// FuzzHeader expects that of a header that is accepted, signed with our secret, another
// reader of JSON learns nothing that would have changed what the token means.
func FuzzHeader(f *testing.F) {
	f.Add(goodHeader)
	f.Add(`{"alg":"HS256","kid":"2026-11","typ":"application/at+jwt"}`)
	f.Add(`{"alg":"none","\u0061lg":"HS256"}`)
	f.Add(`{"alg":"HS256","crit":["exp"],"jwk":{"kty":"oct","k":"AAAA"}}`)
	f.Add(`{"alg":"HS256","a":` + nested(9) + `}`)
	f.Fuzz(func(t *testing.T, header string) {
		if _, err := verifier.Verify(t.Context(), sign(header, goodClaims), now); err != nil {
			return
		}
		var other map[string]any
		if err := json.Unmarshal([]byte(header), &other); err != nil {
			t.Fatalf("%q is accepted and no JSON: %v", header, err)
		}
		kid, named := other["kid"].(string)
		if other["alg"] != "HS256" || named != (other["kid"] != nil) || len(kid) > 128 || strings.ContainsAny(kid, "\x00\r\n") {
			t.Fatalf("%q is accepted", header)
		}
		for _, name := range []string{"crit", "zip", "cty", "b64", "enc", "jku", "x5u", "jwk", "x5c"} {
			if _, present := other[name]; present {
				t.Fatalf("%q is accepted, with %s", header, name)
			}
		}
	})
}

// FuzzClaims lets somebody who knows the secret sign what he likes, and expects
// that of what is accepted another reader of JSON learns the same.
func FuzzClaims(f *testing.F) {
	f.Add(goodHeader, goodClaims)
	f.Add(goodHeader, good(`"EXP":1`))
	f.Add(goodHeader, good(`"aud":["a"],"nbf":1799999990`))
	f.Add(goodHeader, claims(`"a\u202eb"`, "1e300", "1", ""))
	f.Add(`{"alg":"HS256","kid":"1"}`, goodClaims+"{}")
	f.Fuzz(func(t *testing.T, header, claims string) {
		got, err := verifier.Verify(t.Context(), sign(header, claims), now)
		if err != nil {
			return
		}
		var other map[string]any
		if err := json.Unmarshal([]byte(claims), &other); err != nil {
			t.Fatalf("%q is accepted and no JSON: %v", claims, err)
		}
		if len(other) != len(got) || other["sub"] != got["sub"] || other["exp"] != got["exp"] || other["iat"] != got["iat"] {
			t.Fatalf("%q is read as %v, by another as %v", claims, got, other)
		}
		exp, iat := other["exp"].(float64), other["iat"].(float64)
		if exp-iat > 300 || exp <= float64(now.Unix()) || iat > float64(now.Unix()) {
			t.Fatalf("%q is accepted out of its time", claims)
		}
		if sub := got.Subject(); !utf8.ValidString(sub) || strings.ContainsAny(sub, "\x00\r\n\u202e\u2028") {
			t.Fatalf("subject %q is accepted", sub)
		}
	})
}
