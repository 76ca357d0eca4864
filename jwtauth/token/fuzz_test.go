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
