// Package key has the keys that tokens are signed with. A key serves one algorithm
// and no other (draft-ietf-oauth-rfc8725bis section 3.1), and none is made that is
// too weak for it.
package key

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// Key verifies signatures. Of a secret, and of a private key, it makes them too.
type Key struct {
	// ID is the kid of tokens signed with it; empty if the key has none.
	ID string
	// Algorithm is its name in RFC 7518 or RFC 8037, such as HS256 or EdDSA.
	Algorithm string

	method  jwt.SigningMethod
	public  any   // what golang-jwt verifies with
	private any   // what it signs with; nil if that is not known
	macs    *macs // of a secret, instead of golang-jwt's
}

// Secret makes a key of an HMAC algorithm: HS256, HS384 or HS512.
func Secret(value []byte, algorithm string) (*Key, error) {
	method, ok := methods[algorithm].(*jwt.SigningMethodHMAC)
	if !ok {
		return nil, fmt.Errorf("%s takes no secret; use HS256, HS384 or HS512", algorithm)
	}
	least := method.Hash.Size()
	if len(value) < least {
		return nil, fmt.Errorf("it has %d bytes and must have at least %d for %s (RFC 7518 section 3.2); %s", len(value), least, algorithm, advice)
	}
	if why := guessable(value, least); why != "" {
		return nil, fmt.Errorf("it can be guessed: %s; %s", why, advice)
	}
	value = bytes.Clone(value)
	return &Key{Algorithm: algorithm, method: method, private: value, macs: newMACs(method.Hash, value)}, nil
}

const advice = "`openssl rand -base64 48` makes one"

// Public makes a key of a public key. Without an algorithm it is RS256, that of the
// curve, or EdDSA.
func Public(public crypto.PublicKey, algorithm string) (*Key, error) {
	own, err := ownAlgorithm(public)
	if err != nil {
		return nil, err
	}
	algorithm = Canonical(algorithm)
	if algorithm == "" {
		algorithm = own
	}
	if _, rsa := public.(*rsa.PublicKey); algorithm != own && !(rsa && slices.Contains(ofRSA, algorithm)) {
		return nil, fmt.Errorf("it is a key for %s and none for %s", own, algorithm)
	}
	return &Key{Algorithm: algorithm, method: methods[algorithm], public: public}, nil
}

// ofRSA are the algorithms that an RSA key may have. Any other key has but one.
var ofRSA = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

// ownAlgorithm is the algorithm of a key of which nothing else is said. A key that is
// not sound has none.
func ownAlgorithm(public crypto.PublicKey) (string, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return "RS256", checkRSA(public)
	case *ecdsa.PublicKey:
		return curveAlgorithm(public)
	case ed25519.PublicKey:
		return "EdDSA", checkEd25519(public)
	}
	return "", errors.New("it must be an RSA, ECDSA or Ed25519 key")
}

// Private makes a key that can sign, of an RSA, ECDSA or Ed25519 private key.
func Private(private crypto.Signer, algorithm string) (*Key, error) {
	// golang-jwt signs with these types and no others
	switch private.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
	default:
		return nil, errors.New("it must be an RSA, ECDSA or Ed25519 private key")
	}
	k, err := Public(private.Public(), algorithm)
	if err != nil {
		return nil, err
	}
	k.private = private
	const probe = "of one pair"
	if signature, err := k.Sign(probe); err != nil || !k.Verify(probe, signature) {
		return nil, errors.New("its private half does not belong to its public half")
	}
	return k, nil
}

// Verify reports whether a signature of what was signed is this key's.
func (k *Key) Verify(signed string, signature []byte) bool {
	if k.macs != nil {
		return k.macs.verify(signed, signature)
	}
	return k.method.Verify(signed, signature, k.public) == nil
}

// Sign makes a signature.
func (k *Key) Sign(toSign string) ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("a public key signs nothing")
	}
	return k.method.Sign(toSign, k.private)
}

// Algorithms are those that there are keys for. `none` is none.
var Algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// methods are the algorithms. They are not asked of golang-jwt, in which any code of
// the process may register another of the same name.
var methods = map[string]jwt.SigningMethod{
	"HS256": jwt.SigningMethodHS256, "HS384": jwt.SigningMethodHS384, "HS512": jwt.SigningMethodHS512,
	"RS256": jwt.SigningMethodRS256, "RS384": jwt.SigningMethodRS384, "RS512": jwt.SigningMethodRS512,
	"PS256": exactSalt(jwt.SigningMethodPS256), "PS384": exactSalt(jwt.SigningMethodPS384), "PS512": exactSalt(jwt.SigningMethodPS512),
	"ES256": jwt.SigningMethodES256, "ES384": jwt.SigningMethodES384, "ES512": jwt.SigningMethodES512,
	"EdDSA": jwt.SigningMethodEdDSA,
}

// exactSalt verifies with the length of salt that signatures have (RFC 7518 section
// 3.5). golang-jwt makes them so and accepts any.
func exactSalt(method *jwt.SigningMethodRSAPSS) jwt.SigningMethod {
	return &jwt.SigningMethodRSAPSS{SigningMethodRSA: method.SigningMethodRSA, Options: method.Options}
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
	// the algorithm is not one of this source's. missing says that keys which may have
	// signed the token cannot be had at the moment.
	Find(ctx context.Context, algorithm, kid string) (keys []*Key, decoy, missing bool)
}

// Set is a Source of keys that do not change.
type Set []*Key

// maxTries bounds how many keys with a kid are tried on a token that has none.
const maxTries = 4

// Find implements Source. None of its keys is ever missing.
func (s Set) Find(_ context.Context, algorithm, kid string) (keys []*Key, decoy, missing bool) {
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
		return keys, false, false
	case others != nil:
		return others[:1], true, false
	}
	return nil, false, false
}
