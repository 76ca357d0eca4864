package key_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

func TestSecretsThatCanBeGuessed(t *testing.T) {
	const published, example, repeats, counts, few, other = "published", "example", "repeats", "neighbours", "hardly any", "another form"
	for _, test := range []struct {
		name, secret string
		why          string // empty: it is accepted
	}{
		{"one byte again and again", strings.Repeat("a", 32), repeats},
		{"zeros", strings.Repeat("\x00", 64), repeats},
		{"a word again and again", strings.Repeat("secret", 6), repeats},
		{"the last time in part", strings.Repeat("swordfish", 4)[:34], repeats},
		{"a short example twice", "your-256-bit-key-your-256-bit-key-", repeats},
		{"the digits of hex twice", "0123456789abcdef0123456789abcdef", repeats},
		{"31 random bytes twice", strings.Repeat("bT9xqLw2Zk7RmV4cYf8HjN3pDs6GaU5", 2), repeats},
		{"32 random bytes twice are as good as once", strings.Repeat("bT9xqLw2Zk7RmV4cYf8HjN3pDs6GaU5e", 2), ""},
		{"an end like the beginning, by chance", "bT9xqLw2Zk7RmV4cYf8HjN3pDs6bT9xqLw2Zk7", ""},
		{"the alphabet", "abcdefghijklmnopqrstuvwxyz012345", counts},
		{"the alphabet backwards", "zyxwvutsrqponmlkjihgfedcbaZYXWVUTS", counts},
		{"all bytes in their order", string(ascending(32)), counts},
		{"each letter several times", "aaaabbbbccccddddeeeeffffgggghhhh", counts},
		{"four letters without order", "adcbabdacadbcabdacdabcabdcbadcab", few},

		{"jwt.io's for HS256", "a-string-secret-at-least-256-bits-long", example},
		{"jwt.io's for HS384", "a-valid-string-secret-that-is-at-least-384-bits-long", example},
		{"jwt.io's for HS512", "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long", example},
		{"jwt.io's older one, made longer", "your-256-bit-secret-but-somewhat-longer", example},
		{"Supabase's", "your-super-secret-jwt-token-with-at-least-32-characters-long", example},
		{"one to be changed", "changeme-changeme-CHANGEME-please", example},
		{"one to be changed, in other words", "Please change this to a secret of yours!", example},
		{"one to be replaced", "THIS IS USED TO SIGN AND VERIFY JWT TOKENS, REPLACE IT WITH YOUR OWN SECRET", example},
		{"Django's default", "django-insecure-l9x#2vq7k^m4w8z1r5t0y3u6i", example},
		{"that of RFC 7515", "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", published},
		{"that of RFC 7520", "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg", published},
		{"FastAPI's", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", published},
		{"Spring's, in small letters", "404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970", published},
		{"ASP.NET's", "this is my custom Secret key for authentication", published},
		{"Nacos's", "SecretKey012345678901234567890123456789012345678901234567890123456789", published},
		{"Nacos's in base64", "U2VjcmV0S2V5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5", published},
		{"Hasura's", "3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R", published},

		{"a public key, which is no secret", pkix(&p256().PublicKey), other},
		{"a public key of SSH", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHSbX", other},
		{"a public JWK", "{" + ecMembers(p256()) + "}", other},

		{"a sentence of one's own", "seven grumpy herons wade across a pond", ""},
		{"one with letters of the word kty", "kTyZ9xqLw2Zk7RmV4cYf8HjN3pDs6GaUkty", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := key.Secret([]byte(test.secret), "HS256")
			if test.why == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			refused(t, err, test.why, "openssl rand")
			if strings.Contains(err.Error(), test.secret[:12]) {
				t.Errorf("error %q tells the secret", err)
			}
		})
	}
}

// Nobody whose secret is random is told that it is not.
func TestRandomSecretsAreAccepted(t *testing.T) {
	for range 20_000 {
		random := make([]byte, 48)
		rand.Read(random)
		digits := make([]byte, 40)
		for i := range digits {
			digits[i] = '0' + random[i]%10
		}
		for _, secret := range []string{
			string(random[:32]), hex.EncodeToString(random[:16]), base64.StdEncoding.EncodeToString(random), string(digits),
		} {
			if _, err := key.Secret([]byte(secret), "HS256"); err != nil {
				t.Fatalf("%q is refused: %v", secret, err)
			}
		}
	}
}

// ascending is 0, 1, 2 and so on.
func ascending(n int) []byte {
	bytes := make([]byte, n)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	return bytes
}
