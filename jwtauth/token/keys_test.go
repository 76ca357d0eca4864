package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"sync"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

const longSecret = "bT9xqLw2Zk7RmV4cYf8HjN3pDs6GaU5eXo1iPzQyKvCtJdWnShBgMrElFuA0-_kq"

// The private keys of these tests are made once: RSA keys take their time.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
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

// privateKey is one for an algorithm; nil if that takes a secret.
func privateKey(algorithm string) crypto.Signer {
	switch algorithm {
	case "ES256":
		return p256()
	case "ES384":
		return p384()
	case "ES512":
		return p521()
	case "EdDSA":
		return edKey()
	}
	if algorithm[:2] == "HS" {
		return nil
	}
	return rsaKey()
}

// pair is a key that signs with an algorithm, and the one that verifies it.
func pair(algorithm, kid string) (signing, verifying *key.Key) {
	if private := privateKey(algorithm); private != nil {
		signing, verifying = must(key.Private(private, algorithm)), must(key.Public(private.Public(), algorithm))
	} else {
		signing = must(key.Secret([]byte(longSecret), algorithm))
		verifying = signing
	}
	signing.ID, verifying.ID = kid, kid
	return signing, verifying
}

// trusting is a verifier of tokens that are signed with one of these keys.
func trusting(keys ...*key.Key) token.Verifier {
	v := verifier
	v.Keys = key.Set(keys)
	return v
}

// issued is a token of sound claims.
func issued(k *key.Key) string {
	return must(token.Issue(k, token.Claims{"sub": "clawdbot", "iat": now.Unix(), "exp": now.Unix() + 300}))
}

// hashed is the SHA-256 of a text.
func hashed(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}
