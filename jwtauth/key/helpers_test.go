package key_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// The private keys of these tests are made once: RSA keys take their time.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p224   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)) })
	p256   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	edKey  = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) })
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// block is a block of PEM.
func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkix(public crypto.PublicKey) string {
	return block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(public)))
}

func pkcs8(private any) string {
	return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(private)))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// The members of JWKs that make them the keys above.
func rsaMembers() string {
	return fmt.Sprintf(`"kty":"RSA","n":%q,"e":"AQAB"`, encode(rsaKey().N.Bytes()))
}

func ecMembers(private *ecdsa.PrivateKey) string {
	point := must(private.PublicKey.Bytes())[1:]
	return fmt.Sprintf(`"kty":"EC","crv":%q,"x":%q,"y":%q`, private.Params().Name, encode(point[:len(point)/2]), encode(point[len(point)/2:]))
}

func edMembers() string {
	return fmt.Sprintf(`"kty":"OKP","crv":"Ed25519","x":%q`, encode(edKey().Public().(ed25519.PublicKey)))
}

// set is a JWK Set of keys with these members.
func set(keys ...string) string { return `{"keys":[{` + strings.Join(keys, "},{") + `}]}` }

// describe says which keys these are: the kid and algorithm of each.
func describe(keys []*key.Key) string {
	var all []string
	for _, k := range keys {
		all = append(all, strings.TrimPrefix(k.ID+":"+k.Algorithm, ":"))
	}
	return strings.Join(all, " ")
}

// refused expects an error that says all of these, and none of the secrets.
func refused(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("accepted, want it refused")
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error is %q, want it to say %q", err, part)
		}
	}
}

// number is a positive number in base 10.
func number(text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		panic(text)
	}
	return n
}
