package key

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
)

// curves are the algorithms of curves (RFC 7518 section 3.4).
var curves = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}

// curveAlgorithm is the one algorithm of a key on a curve. golang-jwt verifies ES256
// with a key on any curve.
func curveAlgorithm(public *ecdsa.PublicKey) (string, error) {
	// Bytes fails unless the point is on the curve, and the curve one of Go's own
	if _, err := public.Bytes(); err != nil {
		return "", errors.New("its point is not on a curve that is known; P-256, P-384 and P-521 are")
	}
	name := public.Params().Name
	if curves[name] == "" {
		return "", fmt.Errorf("a key on curve %s is too weak; use P-256, P-384 or P-521", name)
	}
	return curves[name], nil
}

// checkEd25519 refuses what is no point of the curve, and the eight points, such as
// all zeros, with which anybody makes signatures: a key of a real private key is none
// of them.
func checkEd25519(public ed25519.PublicKey) error {
	point, err := new(edwards25519.Point).SetBytes(public)
	if err != nil || !bytes.Equal(point.Bytes(), public) {
		return errors.New("it is no Ed25519 key: its point is not on the curve")
	}
	if new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errors.New("it is no Ed25519 key: anybody can sign for its point")
	}
	return nil
}
