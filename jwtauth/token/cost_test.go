package token_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// golang-jwt decodes and parses a token whatever its length before it looks at the
// signature: 8 MiB take it a tenth of a second.
func TestATokenOfMegabytesCostsNothing(t *testing.T) {
	const size = 8 << 20
	for name, compact := range map[string]string{
		"one that is signed":        sign(goodHeader, good(`"fill":"`+strings.Repeat("x", size*3/4)+`"`)),
		"a header without end":      strings.Repeat("eyJh", size/4),
		"nothing but dots":          strings.Repeat(".", size),
		"parts without number":      strings.Repeat("e30.", size/4),
		"a signature without end":   encode(goodHeader) + "." + encode(goodClaims) + "." + strings.Repeat("AAAA", size/4),
		"what no token is made of":  strings.Repeat("\n", size),
		"characters of three bytes": strings.Repeat("€", size/3),
	} {
		if got := fastest(func() { check(t, verifier, compact, now, token.Malformed) }); got > time.Millisecond {
			t.Errorf("%s takes %v", name, got)
		}
	}
}

// fastest is the shortest of some runs: a busy machine makes any of them long, but not
// all of them.
func fastest(run func()) time.Duration {
	shortest := time.Hour
	for range 50 {
		begun := time.Now()
		run()
		shortest = min(shortest, time.Since(begun))
	}
	return shortest
}

// What we look at besides the signature costs a fifth of it at most. (The race detector
// slows the one and not the other.)
func TestVerificationCostsLittleMoreThanTheSignature(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector slows Go and not assembly")
	}
	for _, algorithm := range []string{"ES256", "EdDSA"} {
		whole, signature := verification(t, algorithm), bareVerification(algorithm)
		var ratio float64
		for range 5 { // a busy machine may be in the way of all runs of the one
			wholeTook, signatureTook := time.Duration(1<<62), time.Duration(1<<62)
			for range 20 {
				wholeTook = min(wholeTook, fastest(func() { must(0, whole()) }))
				signatureTook = min(signatureTook, fastest(func() { must(0, signature()) }))
			}
			ratio = float64(wholeTook) / float64(signatureTook)
			t.Logf("%s: %v, of which the signature takes %v", algorithm, wholeTook, signatureTook)
			if ratio <= 1.2 {
				break
			}
		}
		if ratio > 1.2 {
			t.Errorf("%s: %.2f times what its signature takes, want 1.20 at most", algorithm, ratio)
		}
	}
}
