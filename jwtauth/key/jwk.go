package key

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/jwtauth/strictjson"
)

// jwk is a public key in JSON (RFC 7517), as far as it is known here. The order of its
// members is that of a thumbprint.
type jwk struct {
	Curve    string   `json:"crv,omitzero"`
	Exponent string   `json:"e,omitzero"`
	Type     string   `json:"kty"`
	Modulus  string   `json:"n,omitzero"`
	X        string   `json:"x,omitzero"`
	Y        string   `json:"y,omitzero"`
	ID       string   `json:"kid,omitzero"`
	Use      string   `json:"use,omitzero"`
	For      []string `json:"key_ops,omitzero"`
	Name     string   `json:"alg,omitzero"`
}

// errPrivate is of a JWK that nobody but its owner may have.
var errPrivate = errors.New("there is a private key or a secret in it; it must have public keys only, and new ones if others could read it (the secret of an HMAC goes into the option secret)")

// parseJWK makes a key of a JWK. The algorithm is that of a JWK that names none, and
// must be that of one that does.
func parseJWK(value jsontext.Value, algorithm string) (*Key, error) {
	var members map[string]jsontext.Value
	if err := strictjson.Unmarshal(value, &members); err != nil {
		return nil, errors.New("it is no JSON object")
	}
	has := func(name string) bool { _, present := members[name]; return present }
	if slices.ContainsFunc([]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}, has) {
		return nil, errPrivate
	}
	var j jwk
	if err := strictjson.Unmarshal(value, &j); err != nil {
		return nil, errors.New("one of its members is not of its type (RFC 7517 section 4)")
	}
	switch {
	case j.Type == "oct":
		return nil, errPrivate
	case has("use") && j.Use != "sig":
		return nil, errors.New("its use is not sig")
	case has("key_ops") && !slices.Contains(j.For, "verify"):
		return nil, errors.New("its key_ops are without verify")
	case has("kid") && !plainID(j.ID):
		return nil, errors.New("its kid is empty, longer than 128 bytes or not of plain characters")
	case has("alg") && !slices.Contains(Algorithms, Canonical(j.Name)):
		return nil, errors.New("its alg is none that is known")
	case has("alg") && algorithm != "" && Canonical(j.Name) != Canonical(algorithm):
		return nil, fmt.Errorf("it is for %s and not for %s", j.Name, algorithm)
	case !has("alg"):
		j.Name = algorithm
	}
	public, err := j.public()
	if err != nil {
		return nil, err
	}
	k, err := Public(public, j.Name)
	if err != nil {
		return nil, err
	}
	k.ID = j.ID
	return k, nil
}

func plainID(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) })
}

// public is the key that a JWK describes (RFC 7518 section 6, RFC 8037 section 2).
func (j jwk) public() (crypto.PublicKey, error) {
	switch j.Type {
	case "RSA":
		n, e := base64URLUint(j.Modulus), base64URLUint(j.Exponent)
		if n == nil || e == nil || !e.IsInt64() || e.Int64() > 1<<31-1 {
			return nil, errors.New("its n or e is no number in base64url, without zeros in front, that an RSA key has")
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	case "EC":
		for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
			if curve.Params().Name == j.Curve {
				return j.point(curve)
			}
		}
	case "OKP":
		if j.Curve == "Ed25519" {
			x := base64URL(j.X)
			if len(x) != ed25519.PublicKeySize {
				return nil, errors.New("its x is not 32 bytes in base64url")
			}
			return ed25519.PublicKey(x), nil
		}
	}
	return nil, errors.New("its kty or crv is none that tokens are signed with here")
}

// point is the point with the coordinates x and y, each as long as the curve has it.
func (j jwk) point(curve elliptic.Curve) (*ecdsa.PublicKey, error) {
	x, y := base64URL(j.X), base64URL(j.Y)
	if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
		return nil, fmt.Errorf("its x and y are not %d bytes each in base64url", size)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, errors.New("its point is not on its curve")
	}
	return public, nil
}

// base64URL decodes the one spelling of bytes that there is; nil if it is another. (Go's
// decoder skips line breaks.)
func base64URL(text string) []byte {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil
	}
	return decoded
}

// base64URLUint decodes a positive number (RFC 7518 section 2); nil if it is none.
func base64URLUint(text string) *big.Int {
	decoded := base64URL(text)
	if len(decoded) == 0 || decoded[0] == 0 {
		return nil
	}
	return new(big.Int).SetBytes(decoded)
}

// describe is the public part of a key as a JWK, with nothing but what makes it that key.
// Of a secret there is none.
func (k *Key) describe() (j jwk, ok bool) {
	encode := base64.RawURLEncoding.EncodeToString
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return jwk{Type: "RSA", Modulus: encode(public.N.Bytes()), Exponent: encode(big.NewInt(int64(public.E)).Bytes())}, true
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return jwk{}, false
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return jwk{Type: "EC", Curve: public.Params().Name, X: encode(x), Y: encode(y)}, true
	case ed25519.PublicKey:
		return jwk{Type: "OKP", Curve: "Ed25519", X: encode(public)}, true
	}
	return jwk{}, false
}

// Thumbprint is a name for a public key that follows from it (RFC 7638). It is empty
// for a secret, since guesses of that could be told by it.
func (k *Key) Thumbprint() string {
	j, ok := k.describe()
	if !ok {
		return ""
	}
	data, _ := json.Marshal(j) // a few strings, which cannot fail
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
