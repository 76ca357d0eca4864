package key_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

const random = "bT9xqLw2Zk7RmV4cYf8HjN3pDs6GaU5eXo1iPzQyKvCtJdWnShBgMrElFuA0-_kq"

func TestSecretsAreAsLongAsTheirHash(t *testing.T) {
	for _, test := range []struct {
		name, algorithm string
		length          int
		says            []string
	}{
		{"32 bytes for HS256", "HS256", 32, nil},
		{"31 bytes for HS256", "HS256", 31, []string{"31 bytes", "at least 32", "HS256", "openssl rand"}},
		{"48 bytes for HS384", "HS384", 48, nil},
		{"47 bytes for HS384", "HS384", 47, []string{"47 bytes", "at least 48", "HS384"}},
		{"64 bytes for HS512", "HS512", 64, nil},
		{"63 bytes for HS512", "HS512", 63, []string{"63 bytes", "at least 64", "HS512"}},
		{"no bytes", "HS256", 0, []string{"0 bytes"}},
		{"an algorithm of public keys", "RS256", 64, []string{"RS256", "no secret"}},
		{"none", "none", 64, []string{"none", "no secret"}},
		{"no algorithm", "", 64, []string{"no secret"}},
		{"small letters", "hs256", 64, []string{"hs256", "no secret"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k, err := key.Secret([]byte(random[:test.length]), test.algorithm)
			if test.says != nil {
				refused(t, err, test.says...)
			} else if err != nil || k.Algorithm != test.algorithm || k.ID != "" {
				t.Errorf("got %v and %v", k, err)
			}
		})
	}
}

func TestAKeyKeepsItsOwnCopyOfTheSecret(t *testing.T) {
	secret := []byte(random)
	k := must(key.Secret(secret, "HS256"))
	signature := must(k.Sign("x"))
	clear(secret)
	if !k.Verify("x", signature) {
		t.Error("the key has changed with what it was made of")
	}
}

func TestPrivateKeysThatAreNone(t *testing.T) {
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	mixed := slices.Concat(other[:32], edKey()[32:])
	for _, test := range []struct {
		name    string
		private crypto.Signer
		says    string
	}{
		{"nothing", nil, "RSA, ECDSA or Ed25519"},
		{"a signer of another kind, such as one in hardware", signer{p256()}, "RSA, ECDSA or Ed25519"},
		{"two halves that are not of one pair", ed25519.PrivateKey(mixed), "does not belong"},
		{"two halves of curves", &ecdsa.PrivateKey{PublicKey: p256().PublicKey, D: number("7")}, "does not belong"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := key.Private(test.private, "")
			refused(t, err, test.says)
		})
	}
}

// signer is a private key that nobody sees.
type signer struct{ crypto.Signer }

func TestPublicKeysThatAreNone(t *testing.T) {
	for _, test := range []struct {
		name   string
		public crypto.PublicKey
		says   string
	}{
		{"nothing", nil, "RSA, ECDSA or Ed25519"},
		{"a secret", []byte(random), "RSA, ECDSA or Ed25519"},
		{"a private key", p256(), "RSA, ECDSA or Ed25519"},
		{"no curve", &ecdsa.PublicKey{X: number("1"), Y: number("1")}, "not on a curve"},
		{"a point off its curve", &ecdsa.PublicKey{Curve: elliptic.P256(), X: number("1"), Y: number("1")}, "not on a curve"},
		{"the point at infinity", &ecdsa.PublicKey{Curve: elliptic.P256(), X: number("0"), Y: number("0")}, "not on a curve"},
		{"a curve of somebody's own, by a good name", &ecdsa.PublicKey{Curve: &elliptic.CurveParams{Name: "P-256"}, X: number("1"), Y: number("1")}, "not on a curve"},
		{"P-224", &p224().PublicKey, "P-224"},
		{"an RSA key without a modulus", &rsa.PublicKey{N: number("0"), E: 65537}, "0 bits"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := key.Public(test.public, "")
			refused(t, err, test.says)
		})
	}
}

func TestAPublicKeySignsNothing(t *testing.T) {
	k := must(key.Public(&p256().PublicKey, ""))
	if _, err := k.Sign("x"); err == nil {
		t.Error("it has signed")
	}
}

// RFC 7518 section 3.5: the salt is as long as the hash.
func TestPSSWithAnotherSaltIsRefused(t *testing.T) {
	for algorithm, hash := range map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512} {
		k := must(key.Public(&rsaKey().PublicKey, algorithm))
		sum := hash.New()
		io.WriteString(sum, "x")
		for _, salt := range []int{rsa.PSSSaltLengthAuto, 1, hash.Size() - 1, hash.Size(), hash.Size() + 1} {
			signature, err := rsa.SignPSS(rand.Reader, rsaKey(), hash, sum.Sum(nil), &rsa.PSSOptions{SaltLength: salt})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := k.Verify("x", signature), salt == hash.Size(); got != want {
				t.Errorf("%s with %d bytes of salt: accepted %v, want %v", algorithm, salt, got, want)
			}
		}
	}
}

func TestEdDSAHasTwoNames(t *testing.T) {
	for name, want := range map[string]string{"Ed25519": "EdDSA", "EdDSA": "EdDSA", "Ed448": "Ed448", "ed25519": "ed25519", "ES256": "ES256"} {
		if got := key.Canonical(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// golang-jwt's list of algorithms may be written to by any code of the process.
func TestNobodyElseDecidesWhatAnAlgorithmIs(t *testing.T) {
	method := jwt.GetSigningMethod("HS512")
	jwt.RegisterSigningMethod("HS512", func() jwt.SigningMethod { return jwt.SigningMethodHS256 })
	defer jwt.RegisterSigningMethod("HS512", func() jwt.SigningMethod { return method })
	k := must(key.Secret([]byte(random), "HS512"))
	if signature := must(k.Sign("x")); len(signature) != 64 {
		t.Errorf("HS512 signs with %d bytes", len(signature))
	}
}

func TestKeysThatAreFound(t *testing.T) {
	named := func(id, algorithm string) *key.Key { return &key.Key{ID: id, Algorithm: algorithm} }
	few := key.Set{named("a", "ES256"), named("b", "ES256"), named("c", "RS256"), named("", "HS256"), named("d", "HS256")}
	many := key.Set{named("a", "ES256"), named("b", "ES256"), named("c", "ES256"), named("d", "ES256"), named("e", "ES256")}
	for _, test := range []struct {
		name           string
		set            key.Set
		algorithm, kid string
		want           string
		decoy          bool
	}{
		{"the key of the kid", few, "ES256", "b", "b:ES256", false},
		{"without a kid, all of the algorithm", few, "ES256", "", "a:ES256 b:ES256", false},
		{"of a kid that nobody knows, one to take as long", few, "ES256", "x", "a:ES256", true},
		{"of a kid of another algorithm, likewise", few, "ES256", "c", "a:ES256", true},
		{"a key without a kid counts for every kid", few, "HS256", "x", "HS256", false},
		{"beside the one of the kid", few, "HS256", "d", "HS256 d:HS256", false},
		{"of an algorithm that is nobody's, none", few, "PS256", "c", "", false},
		{"of more than are tried, one to take as long", many, "ES256", "", "a:ES256", true},
		{"of those too, the key of the kid", many, "ES256", "e", "e:ES256", false},
		{"in an empty set, none", nil, "ES256", "", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, decoy, missing := test.set.Find(t.Context(), test.algorithm, test.kid)
			if got := describe(keys); got != test.want || decoy != test.decoy {
				t.Errorf("got %q, a decoy %v; want %q, %v", got, decoy, test.want, test.decoy)
			}
			if missing {
				t.Error("keys of a set that does not change are missing")
			}
		})
	}
}

// Every algorithm has a key of its kind, and no key of another.
func TestEveryKeyHasItsAlgorithms(t *testing.T) {
	kinds := map[string]crypto.PublicKey{
		"RS PS": &rsaKey().PublicKey, "ES256": &p256().PublicKey, "ES384": &p384().PublicKey, "ES512": &p521().PublicKey, "EdDSA": edKey().Public(),
	}
	for kind, public := range kinds {
		for _, algorithm := range key.Algorithms {
			_, err := key.Public(public, algorithm)
			if want := kind == algorithm || strings.Contains(kind, "RS") && (algorithm[:2] == "RS" || algorithm[:2] == "PS"); (err == nil) != want {
				t.Errorf("a key of %s for %s: %v", kind, algorithm, err)
			}
		}
	}
}
