package token_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// BenchmarkVerify is what a token costs.
func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range key.Algorithms {
		b.Run(algorithm, func(b *testing.B) {
			verify := verification(b, algorithm)
			for b.Loop() {
				if err := verify(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSignature is what golang-jwt takes for the signature of the same token.
func BenchmarkSignature(b *testing.B) {
	for _, algorithm := range key.Algorithms {
		b.Run(algorithm, func(b *testing.B) {
			verify := bareVerification(algorithm)
			for b.Loop() {
				if err := verify(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefusal is what a token costs that is far too long.
func BenchmarkRefusal(b *testing.B) {
	long := strings.Repeat("eyJhbGciOiJIUzI1NiJ9", 8<<20/20)
	for b.Loop() {
		if _, err := verifier.Verify(b.Context(), long, now); err == nil {
			b.Fatal("accepted")
		}
	}
}

// verification verifies a sound token.
func verification(t testing.TB, algorithm string) func() error {
	signing, verifying := pair(algorithm, "2026-11")
	v, compact := trusting(verifying), issued(signing)
	return func() error {
		_, err := v.Verify(t.Context(), compact, now)
		return err
	}
}

// bareVerification verifies the signature of such a token with golang-jwt alone.
func bareVerification(algorithm string) func() error {
	signing, _ := pair(algorithm, "2026-11")
	compact := issued(signing)
	cut := strings.LastIndexByte(compact, '.')
	signature := must(base64.RawURLEncoding.DecodeString(compact[cut+1:]))
	var public any = []byte(longSecret)
	if private := privateKey(algorithm); private != nil {
		public = private.Public()
	}
	method := jwt.GetSigningMethod(algorithm)
	return func() error { return method.Verify(compact[:cut], signature, public) }
}
