// Package token verifies and makes the short-lived JSON Web Tokens that clients
// show to the gateway. It knows nothing of HTTP.
package token

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Fault is why a token was refused. It is for the audit record, never for the
// client: an attacker shall not learn how far his token got.
type Fault string

func (f Fault) Error() string { return "token refused: " + string(f) }

// Faults of a token.
const (
	Malformed    Fault = "malformed"
	BadHeader    Fault = "header"
	BadAlgorithm Fault = "algorithm"
	BadSignature Fault = "signature"
	BadClaims    Fault = "claims"
	BadSubject   Fault = "subject"
	Expired      Fault = "expired"
	NotYetValid  Fault = "not_yet_valid"
	TooLong      Fault = "lifetime"
	BadIssuer    Fault = "issuer"
	BadAudience  Fault = "audience"
)

// maxLength of a token, in bytes. Anything longer is refused before it is decoded.
const maxLength = 8 << 10

// Verifier says what a token must be to be accepted.
type Verifier struct {
	// Secrets are the HS256 keys that a token may be signed with, each at least
	// MinSecret bytes long.
	Secrets [][]byte
	// MaxLifetime bounds both what a token may claim (exp − iat) and its age.
	MaxLifetime time.Duration
	// Leeway is how far the issuer's clock may be off. It does not stretch MaxLifetime.
	Leeway time.Duration
	// Issuer and Audience must be the token's, if they are given.
	Issuer, Audience string
}

// MinSecret is the least length of an HS256 key in bytes: that of the hash
// (RFC 7518 section 3.2).
const MinSecret = 32

// Verify returns the claims of a token that is sound at the time now, or a Fault.
//
// golang-jwt checks the signature. The rest is checked here, because with every
// strict option on it still accepts, among others, duplicate claims, `crit`
// extensions, line breaks within base64 and any length of life.
func (v *Verifier) Verify(compact string, now time.Time) (Claims, error) {
	header, payload, signature, ok := split(compact)
	if !ok {
		return nil, Malformed
	}
	if fault := checkHeader(header); fault != "" {
		return nil, fault
	}
	signed := compact[:strings.LastIndexByte(compact, '.')]
	if !v.signedByUs(signed, signature) {
		return nil, BadSignature
	}
	object, ok := decodeStrictly(payload)
	if !ok {
		return nil, BadClaims
	}
	claims := Claims(object)
	if fault := v.checkClaims(claims, now); fault != "" {
		return nil, fault
	}
	return claims, nil
}

// split takes a token in compact form apart and decodes its parts. It accepts
// the alphabet of base64url and nothing besides, no padding, no second encoding
// of the same bytes (RFC 7515 section 2; Go's decoder skips line breaks).
func split(compact string) (header, payload, signature []byte, ok bool) {
	if len(compact) > maxLength || strings.Count(compact, ".") != 2 || !onlyBase64URL(compact) {
		return nil, nil, nil, false
	}
	encoding := base64.RawURLEncoding.Strict()
	parts := strings.Split(compact, ".")
	decoded := make([][]byte, len(parts))
	for i, part := range parts {
		var err error
		if decoded[i], err = encoding.DecodeString(part); err != nil || len(decoded[i]) == 0 {
			return nil, nil, nil, false
		}
	}
	return decoded[0], decoded[1], decoded[2], true
}

func onlyBase64URL(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// checkHeader refuses what changes the meaning of a token (crit, zip, cty, b64)
// or says where to find a key for it (jku, x5u, jwk, x5c): nobody who can write
// a header decides which key we trust.
func checkHeader(data []byte) Fault {
	header, ok := decodeStrictly(data)
	if !ok {
		return BadHeader
	}
	for _, name := range []string{"crit", "zip", "cty", "b64", "jku", "x5u", "jwk", "x5c", "enc"} {
		if _, present := header[name]; present {
			return BadHeader
		}
	}
	if typ, present := header["typ"]; present {
		name, _ := typ.(string)
		name = strings.TrimPrefix(strings.ToLower(name), "application/")
		if name != "jwt" && name != "at+jwt" {
			return BadHeader
		}
	}
	if kid, present := header["kid"]; present {
		if name, _ := kid.(string); !plainName(name) || len(name) > 128 {
			return BadHeader
		}
	}
	if header["alg"] != jwt.SigningMethodHS256.Alg() {
		return BadAlgorithm
	}
	return ""
}

// signedByUs tries every secret: during a rotation there are two.
func (v *Verifier) signedByUs(signed string, signature []byte) bool {
	for _, secret := range v.Secrets {
		if jwt.SigningMethodHS256.Verify(signed, signature, secret) == nil {
			return true
		}
	}
	return false
}

func (v *Verifier) checkClaims(c Claims, now time.Time) Fault {
	expires, _, expiresValid := c.date("exp")
	issued, _, issuedValid := c.date("iat")
	if !expiresValid || !issuedValid {
		return BadClaims
	}
	notBefore, hasNotBefore, notBeforeValid := c.date("nbf")
	if hasNotBefore && !notBeforeValid {
		return BadClaims
	}
	switch {
	case !plainName(c.Subject()):
		return BadSubject
	case v.Issuer != "" && c["iss"] != v.Issuer:
		return BadIssuer
	case v.Audience != "" && !c.speaksFor("aud", v.Audience):
		return BadAudience
	case !expires.After(issued), expires.Sub(issued) > v.MaxLifetime:
		return TooLong
	case issued.After(now.Add(v.Leeway)), hasNotBefore && notBefore.After(now.Add(v.Leeway)):
		return NotYetValid
	case !now.Before(expires.Add(v.Leeway)), !now.Before(issued.Add(v.MaxLifetime)):
		return Expired
	}
	return ""
}

// Issue makes a token for subject that lives for ttl from now on.
func Issue(secret []byte, subject string, ttl time.Duration, now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": subject,
		"iat": now.Unix(),
		"exp": now.Add(ttl).Unix(),
	}).SignedString(secret)
}
