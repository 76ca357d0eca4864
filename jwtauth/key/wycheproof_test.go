package key_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2sp/wycheproof"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// vectors are a file of Wycheproof's. A group has its keys as one JWK or as a JWK Set.
type vectors struct {
	NumberOfTests int
	TestGroups    []struct {
		Comment         string
		Public, Private json.RawMessage
		Tests           []struct {
			ID              int `json:"tcId"`
			Comment, Result string
			JWS, JWE        json.RawMessage // a string, but for the JSON form
		}
	}
}

// The files, and of how many tests what came out. None is left out.
func TestWycheproof(t *testing.T) {
	for _, test := range []struct {
		file       string
		exceptions map[int]string // tests of which we think otherwise, and why
		want       map[string]int
	}{
		{"json_web_signature_test.json", map[int]string{
			346: otherAlgorithm, 350: otherAlgorithm, 347: noSuchAlgorithm, 351: noSuchAlgorithm,
			367: mislabelled, 370: mislabelled, 372: illegal, 373: illegal,
		}, map[string]int{"accepted": 34, "accepted, no JWT": 6, "refused": 353, otherAlgorithm: 2, noSuchAlgorithm: 2, mislabelled: 2, illegal: 2}},
		{"json_web_key_test.json", nil, map[string]int{"accepted": 5, "refused": 21}},
		{"json_web_crypto_test.json", map[int]string{50: encrypted, 67: encrypted},
			map[string]int{"accepted": 4, "refused": 77, encrypted: 2}},
	} {
		t.Run(test.file, func(t *testing.T) {
			got := map[string]int{}
			file := readVectors(t, test.file)
			for _, group := range file.TestGroups {
				keys, err := keysOfGroup(t, group.Public, group.Private)
				for _, vector := range group.Tests {
					compact := text(vector.JWS) + text(vector.JWE)
					came := outcome(t, keys, compact)
					want := map[string]string{"valid": "accepted", "invalid": "refused"}[vector.Result]
					if why := test.exceptions[vector.ID]; why != "" {
						want = map[string]string{"accepted": "refused", "refused": "accepted"}[want]
						if strings.HasPrefix(came, want) {
							came, want = why, why
						}
					}
					if !strings.HasPrefix(came, want) {
						t.Errorf("%d (%s, %s): %s, want %s; its keys: %v", vector.ID, group.Comment, vector.Comment, came, want, err)
					}
					got[came]++
				}
			}
			if !maps.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			total := 0
			for _, n := range got {
				total += n
			}
			if total != file.NumberOfTests {
				t.Errorf("%d tests of %d", total, file.NumberOfTests)
			}
		})
	}
}

// Why we think otherwise.
const (
	otherAlgorithm  = "the key is for PS256 and the token has PS384: a key serves one algorithm"
	noSuchAlgorithm = "the key is for ES521, which is no algorithm (RFC 7520 has ES512 there)"
	mislabelled     = "the token is that of test 357, which is sound"
	illegal         = "the token has a question mark, which base64url has not"
	encrypted       = "the token is encrypted, which none is here"
)

func readVectors(t *testing.T, file string) (v vectors) {
	t.Helper()
	if err := json.Unmarshal(must(fs.ReadFile(wycheproof.TestVectors, file)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// text is a JSON string; of other JSON, as it is.
func text(value json.RawMessage) (s string) {
	if json.Unmarshal(value, &s) != nil {
		return string(value)
	}
	return s
}

// outcome is what comes of a token. One whose claims are at fault had a right signature.
func outcome(t *testing.T, keys key.Set, compact string) string {
	verifier := token.Verifier{Keys: keys, MaxLifetime: time.Minute}
	_, err := verifier.Verify(t.Context(), compact, time.Now())
	header, rest, _ := strings.Cut(compact, ".")
	signature, noJWT := strings.CutPrefix(rest, ".")
	switch {
	case errors.Is(err, token.BadClaims):
		return "accepted"
	case err == nil:
		return "accepted as a JWT"
	case noJWT && len(keys) == 1 && keys[0].Verify(header+".", must(base64.RawURLEncoding.DecodeString(signature))):
		return "accepted, no JWT" // the claims are missing; the signature is right all the same
	}
	return "refused"
}

// keysOfGroup reads the public keys of a group as a JWK Set; its secrets, which never
// are in one, as they would be configured.
func keysOfGroup(t *testing.T, public, private json.RawMessage) (key.Set, error) {
	if public != nil {
		keys, leftOut, err := key.ParseJWKS(asSet(public), "")
		return keys, errors.Join(append(leftOut, err)...)
	}
	data := asSet(private)
	if _, _, err := key.ParseJWKS(data, ""); err == nil || !strings.Contains(err.Error(), "private key or a secret") {
		t.Errorf("a set with what is private: %v", err)
	}
	var set struct {
		Keys []struct{ Kty, Alg, Kid, K string }
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	var keys key.Set
	var ids []string
	for _, j := range set.Keys {
		if j.Kty != "oct" || slices.Contains(ids, j.Kid) {
			return nil, errors.New("it is refused as a set, and no secret")
		}
		ids = append(ids, j.Kid)
		value := must(base64.RawURLEncoding.DecodeString(j.K))
		k, err := key.Secret(value, j.Alg)
		if err != nil && strings.Contains(err.Error(), "can be guessed") { // as zeros can, or what an RFC has
			k, err = key.UncheckedSecret(value, j.Alg), nil
		}
		if err != nil {
			return nil, err
		}
		k.ID = j.Kid
		keys = append(keys, k)
	}
	return keys, nil
}

// asSet makes a set of one key.
func asSet(data json.RawMessage) []byte {
	if strings.Contains(string(data), `"keys"`) {
		return data
	}
	return fmt.Appendf(nil, `{"keys":[%s]}`, data)
}

// Were they other tokens, it would be us who are mistaken.
func TestTheVectorsThatAreCalledMislabelledAre(t *testing.T) {
	tokens := map[int]string{}
	for _, group := range readVectors(t, "json_web_signature_test.json").TestGroups {
		for _, vector := range group.Tests {
			tokens[vector.ID] = text(vector.JWS)
		}
	}
	if tokens[357] == "" || tokens[367] != tokens[357] || tokens[370] != tokens[357] {
		t.Errorf("367 is %q, 370 is %q, 357 is %q", tokens[367], tokens[370], tokens[357])
	}
	if !strings.Contains(tokens[372], "?") || !strings.Contains(tokens[373], "?") {
		t.Errorf("372 is %q, 373 is %q", tokens[372], tokens[373])
	}
}
