// Package token verifies and makes the short-lived JSON Web Tokens that clients
// show to the gateway. It knows nothing of HTTP.
package token

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// maxLength of a token, in bytes. Anything longer is refused before it is decoded.
const maxLength = 8 << 10

// Verifier says what a token must be to be accepted.
type Verifier struct {
	// Keys are those that a token may be signed with.
	Keys key.Source
	// Remote are more of them, if there are any. They are asked for only if none of Keys
	// has signed the token, for that may take its time.
	Remote key.Source
	// MaxLifetime bounds both what a token may claim (exp − iat) and its age.
	MaxLifetime time.Duration
	// Leeway is how far the issuer's clock may be off. It does not stretch MaxLifetime.
	Leeway time.Duration
	// Issuer and Audience must be the token's, if they are given.
	Issuer, Audience string
	// Required are claims that a token must have.
	Required []Requirement
}

// Verify returns the claims of a token that is sound at the time now, or a Fault.
//
// golang-jwt checks the signature. The rest is checked here, because with every
// strict option on it still accepts, among others, duplicate claims, `crit`
// extensions, line breaks within base64 and any length of life.
func (v *Verifier) Verify(ctx context.Context, compact string, now time.Time) (Claims, error) {
	decoded, payload, signature, ok := split(compact)
	if !ok {
		return nil, Malformed
	}
	header, fault := readHeader(decoded)
	if fault != "" {
		return nil, fault
	}
	signed := compact[:strings.LastIndexByte(compact, '.')]
	if fault := v.checkSignature(ctx, header, signed, signature); fault != "" {
		return nil, fault
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
	var decoded [3][]byte
	space, rest := make([]byte, 0, len(compact)), compact // for all three
	for i := range decoded {
		var part string
		part, rest, _ = strings.Cut(rest, ".")
		whole, err := strictBase64.AppendDecode(space, []byte(part))
		if err != nil || len(whole) == len(space) {
			return nil, nil, nil, false
		}
		decoded[i], space = whole[len(space):], whole
	}
	return decoded[0], decoded[1], decoded[2], true
}

var strictBase64 = base64.RawURLEncoding.Strict()

// compactAlphabet are the bytes of base64url, and the dot.
var compactAlphabet = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") {
		is[c] = true
	}
	return is
}()

func onlyBase64URL(s string) bool {
	for i := range len(s) {
		if !compactAlphabet[s[i]] {
			return false
		}
	}
	return true
}

// header is what counts of a token's header.
type header struct{ algorithm, kid string }

// soundHeader is the last header that was accepted. An issuer gives all its tokens the same.
var soundHeader atomic.Pointer[readingOfHeader]

type readingOfHeader struct {
	data   string
	header header
}

// readHeader is decodeHeader, but for a header that it has just accepted.
func readHeader(data []byte) (h header, fault Fault) {
	if last := soundHeader.Load(); last != nil && string(data) == last.data {
		return last.header, ""
	}
	if h, fault = decodeHeader(data); fault == "" {
		soundHeader.Store(&readingOfHeader{string(data), h})
	}
	return h, fault
}

// types are those of access tokens, in either spelling (RFC 7515 section 4.1.9, RFC 9068).
var types = []string{"JWT", "at+jwt", "application/jwt", "application/at+jwt"}

// decodeHeader refuses what changes the meaning of a token (crit, zip, cty, b64)
// or says where to find a key for it (jku, x5u, jwk, x5c): nobody who can write
// a header decides which key we trust.
func decodeHeader(data []byte) (h header, fault Fault) {
	object, ok := decodeStrictly(data)
	if !ok {
		return h, BadHeader
	}
	for _, name := range []string{"crit", "zip", "cty", "b64", "jku", "x5u", "jwk", "x5c", "enc"} {
		if _, present := object[name]; present {
			return h, BadHeader
		}
	}
	if typ, present := object["typ"]; present {
		if name, _ := typ.(string); !slices.ContainsFunc(types, func(t string) bool { return strings.EqualFold(t, name) }) {
			return h, BadHeader
		}
	}
	if kid, present := object["kid"]; present {
		if h.kid, _ = kid.(string); !plainName(h.kid) || len(h.kid) > 128 {
			return h, BadHeader
		}
	}
	algorithm, _ := object["alg"].(string)
	h.algorithm = key.Canonical(algorithm)
	if !slices.Contains(key.Algorithms, h.algorithm) {
		return h, BadAlgorithm
	}
	return h, ""
}

// checkSignature tries every key that it may be: during a rotation there are two. A
// kid that nobody knows takes as long as a signature that is wrong. Where keys are
// missing, a token that no other has signed may be theirs, and is refused without a
// charge of forgery.
func (v *Verifier) checkSignature(ctx context.Context, h header, signed string, signature []byte) Fault {
	var decoy *key.Key
	tried, missing := false, false
	for _, source := range []key.Source{v.Keys, v.Remote} {
		if source == nil {
			continue
		}
		keys, isDecoy, lacks := source.Find(ctx, h.algorithm, h.kid)
		missing = missing || lacks
		if isDecoy {
			decoy = keys[0]
			continue
		}
		for _, k := range keys {
			if k.Verify(signed, signature) {
				return ""
			}
			tried = true
		}
	}
	if decoy != nil && !tried {
		decoy.Verify(signed, signature) // for the time it takes
	}
	switch {
	case missing:
		return KeysUnavailable
	case tried:
		return BadSignature
	case decoy != nil:
		return UnknownKey
	}
	return BadAlgorithm
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
	for _, r := range v.Required {
		switch {
		case c.Meets(r):
		case r.IsScope():
			return MissingScope
		default:
			return MissingClaim
		}
	}
	return ""
}

// Issue makes a token of these claims, signed with a key that can.
func Issue(k *key.Key, claims Claims) (string, error) {
	h := map[string]any{"alg": k.Algorithm, "typ": "JWT"}
	if k.ID != "" {
		h["kid"] = k.ID
	}
	signed := ""
	for _, part := range []map[string]any{h, claims} {
		data, err := json.Marshal(part, json.Deterministic(true))
		if err != nil {
			return "", fmt.Errorf("encoding the token: %w", err)
		}
		signed += base64.RawURLEncoding.EncodeToString(data) + "."
	}
	signed = strings.TrimSuffix(signed, ".")
	signature, err := k.Sign(signed)
	if err != nil {
		return "", fmt.Errorf("signing the token: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
