package token_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// Nobody learns by the time of an answer which kids there are: what is signed with a
// key that nobody knows is verified with another.
func TestAnUnknownKeyTakesAsLongAsAWrongSignature(t *testing.T) {
	const attempts, limit = 3, 1.5
	for _, algorithm := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			signing, verifying := pair(algorithm, "known")
			v := trusting(verifying)
			known := signedUnder(signing, algorithm, "known")
			unknown := signedUnder(signing, algorithm, "other")
			wrong := func(compact string) string { // the last byte of the signature but a bit
				cut := strings.LastIndexByte(compact, '.')
				signature := must(base64.RawURLEncoding.DecodeString(compact[cut+1:]))
				signature[len(signature)-1] ^= 1
				return compact[:cut+1] + encode(string(signature))
			}
			check(t, v, known, now, "")
			badlySigned, ofNobody := wrong(known), wrong(unknown)
			ratio := 0.0
			for range attempts {
				took := medians(
					func() { check(t, v, badlySigned, now, token.BadSignature) },
					func() { check(t, v, ofNobody, now, token.UnknownKey) },
				)
				ratio = float64(took[1]) / float64(took[0])
				t.Logf("a wrong signature takes %v, an unknown key %v", took[0], took[1])
				if ratio < limit && ratio > 1/limit {
					return
				}
			}
			t.Errorf("an unknown key takes %.2f times as long as a wrong signature", ratio)
		})
	}
}

// medians are how long the runs take as a rule, taken by turns.
func medians(runs ...func()) []time.Duration {
	took := make([][]time.Duration, len(runs))
	for range 300 {
		for i, run := range runs {
			begun := time.Now()
			run()
			took[i] = append(took[i], time.Since(begun))
		}
	}
	all := make([]time.Duration, len(runs))
	for i := range took {
		slices.Sort(took[i])
		all[i] = took[i][len(took[i])/2]
	}
	return all
}
