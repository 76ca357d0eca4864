// Package key has the keys that tokens are signed with. A key serves one algorithm
// and no other (draft-ietf-oauth-rfc8725bis section 3.1), and none is made that is
// too weak for it.
package key

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Key verifies signatures. Of a secret, and of a private key, it makes them too.
type Key struct {
	// ID is the kid of tokens signed with it; empty if the key has none.
	ID string
	// Algorithm is its name in RFC 7518 or RFC 8037, such as HS256 or EdDSA.
	Algorithm string

	method  jwt.SigningMethod
	public  any // what golang-jwt verifies with
	private any // what it signs with; nil if that is not known
}

// Secret makes a key of an HMAC algorithm: HS256, HS384 or HS512.
func Secret(value []byte, algorithm string) (*Key, error) {
	method, ok := jwt.GetSigningMethod(algorithm).(*jwt.SigningMethodHMAC)
	if !ok {
		return nil, fmt.Errorf("%s takes no secret; use HS256, HS384 or HS512", algorithm)
	}
	if least := method.Hash.Size(); len(value) < least {
		return nil, fmt.Errorf("it has %d bytes and must have at least %d for %s (RFC 7518 section 3.2); `openssl rand -base64 48` makes one", len(value), least, algorithm)
	}
	return &Key{Algorithm: algorithm, method: method, public: value, private: value}, nil
}

// Public makes a key of a public key. Without an algorithm it is RS256, that of the
// curve, or EdDSA.
func Public(public crypto.PublicKey, algorithm string) (*Key, error) {
	k := &Key{Algorithm: Canonical(algorithm), public: public}
	switch public := public.(type) {
	case *rsa.PublicKey:
		if err := checkRSA(public); err != nil {
			return nil, err
		}
		if k.Algorithm == "" {
			k.Algorithm = "RS256"
		}
	case *ecdsa.PublicKey:
		own := curves[public.Curve.Params().Name]
		if own == "" || k.Algorithm != "" && k.Algorithm != own {
			return nil, fmt.Errorf("a key on curve %s is not one for %s", public.Curve.Params().Name, k.Algorithm)
		}
		k.Algorithm = own
	case ed25519.PublicKey:
		if k.Algorithm == "" {
			k.Algorithm = "EdDSA"
		}
	default:
		return nil, errors.New("it must be an RSA, ECDSA or Ed25519 key")
	}
	k.method = jwt.GetSigningMethod(k.Algorithm)
	if !suits(k.method, public) {
		return nil, fmt.Errorf("it is no key for %s", k.Algorithm)
	}
	return k, nil
}

// Private makes a key that can sign, of an RSA, ECDSA or Ed25519 private key.
func Private(private crypto.Signer, algorithm string) (*Key, error) {
	k, err := Public(private.Public(), algorithm)
	if err != nil {
		return nil, err
	}
	k.private = private
	return k, nil
}

// Verify reports whether a signature of what was signed is this key's.
func (k *Key) Verify(signed string, signature []byte) bool {
	return k.method.Verify(signed, signature, k.public) == nil
}

// Sign makes a signature.
func (k *Key) Sign(toSign string) ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("a public key signs nothing")
	}
	return k.method.Sign(toSign, k.private)
}

// curves are the algorithms of curves (RFC 7518 section 3.4).
var curves = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}

// suits reports whether a method takes such a key.
func suits(method jwt.SigningMethod, public crypto.PublicKey) bool {
	switch public.(type) {
	case *rsa.PublicKey:
		_, pss := method.(*jwt.SigningMethodRSAPSS)
		_, pkcs := method.(*jwt.SigningMethodRSA)
		return pss || pkcs
	case *ecdsa.PublicKey:
		_, ok := method.(*jwt.SigningMethodECDSA)
		return ok
	case ed25519.PublicKey:
		_, ok := method.(*jwt.SigningMethodEd25519)
		return ok
	}
	return false
}

func checkRSA(public *rsa.PublicKey) error {
	switch {
	case public.N.BitLen() < 2048:
		return fmt.Errorf("an RSA key of %d bits is too weak; it must have 2048 at least", public.N.BitLen())
	case public.N.BitLen() > 8192:
		return fmt.Errorf("an RSA key of %d bits is too slow; it must have 8192 at most", public.N.BitLen())
	case public.E < 65537 || public.E%2 == 0:
		return fmt.Errorf("an RSA key with the exponent %d is not safe; it is 65537 as a rule", public.E)
	}
	return nil
}

// Algorithms are those that there are keys for. `none` is none.
var Algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// Canonical is the name of an algorithm under which it goes here: RFC 9864 has given
// EdDSA the name of the one curve that it is used with.
func Canonical(algorithm string) string {
	if algorithm == "Ed25519" {
		return "EdDSA"
	}
	return algorithm
}

// Source is where keys are found. They may change at any time.
type Source interface {
	// Find returns the keys of an algorithm that may have signed a token with this
	// kid, which is empty if the token has none. decoy says that there are none and
	// the one key returned is only there to make it take as long; nil keys say that
	// the algorithm is not one of this source's.
	Find(ctx context.Context, algorithm, kid string) (keys []*Key, decoy bool)
}

// Set is a Source of keys that do not change.
type Set []*Key

// maxTries bounds how many keys with a kid are tried on a token that has none.
const maxTries = 4

// Find implements Source.
func (s Set) Find(_ context.Context, algorithm, kid string) (keys []*Key, decoy bool) {
	var named, others []*Key
	for _, k := range s {
		switch {
		case k.Algorithm != algorithm:
		case k.ID == "":
			keys = append(keys, k)
		case kid == "" || k.ID == kid:
			named = append(named, k)
		default:
			others = append(others, k)
		}
	}
	if len(named) <= maxTries {
		keys = append(keys, named...)
	}
	switch others = append(others, named...); {
	case keys != nil:
		return keys, false
	case others != nil:
		return others[:1], true
	}
	return nil, false
}
