package token_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestEveryAlgorithmThereAndBack(t *testing.T) {
	for _, algorithm := range key.Algorithms {
		for _, kid := range []string{"", "2026-11"} {
			signing, verifying := pair(algorithm, kid)
			compact := issued(signing)
			check(t, trusting(verifying), compact, now, "")
			header := string(must(base64.RawURLEncoding.DecodeString(compact[:strings.IndexByte(compact, '.')])))
			want := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, algorithm, kid)
			if kid == "" {
				want = fmt.Sprintf(`{"alg":%q,"typ":"JWT"}`, algorithm)
			}
			if header != want {
				t.Errorf("the header is %s, want %s", header, want)
			}
		}
	}
}

// A token of every algorithm, shown to a verifier with the key of every other: with its
// own kid and without, under its own header and under that of the key.
func TestEveryAlgorithmWithEveryOtherKey(t *testing.T) {
	for _, of := range key.Algorithms {
		for _, kid := range []string{"", "2026-11"} {
			signing, _ := pair(of, kid)
			for _, with := range key.Algorithms {
				if with == of {
					continue
				}
				_, verifying := pair(with, kid)
				v := trusting(verifying)
				check(t, v, issued(signing), now, token.BadAlgorithm)
				check(t, v, signedUnder(signing, with, kid), now, token.BadSignature)
			}
		}
	}
}

// signedUnder is a token that a key has signed under the header of another algorithm.
func signedUnder(k *key.Key, algorithm, kid string) string {
	header := fmt.Sprintf(`{"alg":%q,"kid":%q}`, algorithm, kid)
	if kid == "" {
		header = fmt.Sprintf(`{"alg":%q}`, algorithm)
	}
	signed := encode(header) + "." + encode(goodClaims)
	return signed + "." + encode(string(must(k.Sign(signed))))
}

// Whoever has a public key can make an HMAC with its bytes.
func TestAPublicKeyIsNoSecret(t *testing.T) {
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		_, verifying := pair(algorithm, "")
		der := must(x509.MarshalPKIXPublicKey(privateKey(algorithm).Public()))
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		signed := encode(goodHeader) + "." + encode(goodClaims)
		for _, form := range [][]byte{text, text[:len(text)-1], der} {
			forged := signed + "." + encode(string(mac(signed, form)))
			check(t, trusting(verifying), forged, now, token.BadAlgorithm)
			secretToo := must(key.Secret(secret, "HS256"))
			check(t, trusting(verifying, secretToo), forged, now, token.BadSignature)
		}
	}
}

func TestAVerifierOfManyAlgorithms(t *testing.T) {
	var keys []*key.Key
	for _, algorithm := range key.Algorithms {
		_, verifying := pair(algorithm, "of "+algorithm)
		keys = append(keys, verifying)
	}
	v := trusting(keys...)
	for _, algorithm := range key.Algorithms {
		signing, _ := pair(algorithm, "of "+algorithm)
		check(t, v, issued(signing), now, "")
		signing.ID = ""
		check(t, v, issued(signing), now, "")
		signing.ID = "of another"
		check(t, v, issued(signing), now, token.UnknownKey)
		signing.ID = "of none"
		check(t, v, issued(signing), now, token.UnknownKey)
		signed := issued(signing)
		check(t, v, signed[:strings.LastIndexByte(signed, '.')+1]+encode("wrong"), now, token.UnknownKey)
	}
}

// RFC 9864 gives EdDSA the name of the one curve that it is used with.
func TestEdDSAUnderBothNames(t *testing.T) {
	signing, verifying := pair("EdDSA", "")
	for _, algorithm := range []string{"", "EdDSA", "Ed25519"} {
		for _, name := range []string{"EdDSA", "Ed25519"} {
			same := must(key.Public(edKey().Public(), algorithm))
			check(t, trusting(same), signedUnder(signing, name, ""), now, "")
		}
	}
	for _, name := range []string{"ED25519", "ed25519", "Ed448", "EDDSA", "Ed25519ph"} {
		check(t, trusting(verifying), signedUnder(signing, name, ""), now, token.BadAlgorithm)
	}
}

func TestAlgorithmsThatThereAreNoKeysFor(t *testing.T) {
	for _, algorithm := range []string{"none", "noNE", "None", "NONE", "ES256K", "ES521", "RS1", "HS1", "RS257", "PS", "HS256, none", "RSA-OAEP", "dir", "ML-DSA-44"} {
		for _, of := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
			signing, verifying := pair(of, "")
			check(t, trusting(verifying), signedUnder(signing, algorithm, ""), now, token.BadAlgorithm)
			unsigned := encode(fmt.Sprintf(`{"alg":%q}`, algorithm)) + "." + encode(goodClaims) + "."
			check(t, trusting(verifying), unsigned, now, token.Malformed)
		}
	}
}

// Of every ECDSA signature (r, s) there is a twin, (r, n − s). Whoever counts tokens
// must count their jti, and neither the tokens nor their hashes.
func TestAnECDSATokenHasATwin(t *testing.T) {
	signing, verifying := pair("ES256", "")
	compact := issued(signing)
	cut := strings.LastIndexByte(compact, '.')
	signature := must(base64.RawURLEncoding.DecodeString(compact[cut+1:]))
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(p256().Params().N, s).FillBytes(signature[32:])
	twin := compact[:cut+1] + encode(string(signature))
	if twin == compact {
		t.Fatal("it is the same")
	}
	check(t, trusting(verifying), compact, now, "")
	check(t, trusting(verifying), twin, now, "")
}
