package key_test

import (
	"crypto"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// One JWK is read, or left out for a reason, or the set is refused for it.
func TestJWKs(t *testing.T) {
	point := must(p256().PublicKey.Bytes())[1:]
	x, y := encode(point[:32]), encode(point[32:])
	ec := func(crv, x, y string) string { return fmt.Sprintf(`"kty":"EC","crv":%q,"x":%q,"y":%q`, crv, x, y) }
	n := encode(rsaKey().N.Bytes())
	rsa := func(n, e string) string { return fmt.Sprintf(`"kty":"RSA","n":%q,"e":%q`, n, e) }
	okp := func(crv, x string) string { return fmt.Sprintf(`"kty":"OKP","crv":%q,"x":%q`, crv, x) }
	const leftOut, refusedWhole = "left out", "refused"
	for _, test := range []struct {
		name, members string
		want          string // the key, or leftOut or refusedWhole
		says          string
	}{
		{"an RSA key is for RS256 unless it says something else", rsaMembers(), "RS256", ""},
		{"an RSA key that says", rsaMembers() + `,"alg":"PS512"`, "PS512", ""},
		{"P-256", ecMembers(p256()), "ES256", ""},
		{"P-384", ecMembers(p384()) + `,"alg":"ES384"`, "ES384", ""},
		{"P-521", ecMembers(p521()), "ES512", ""},
		{"Ed25519", edMembers(), "EdDSA", ""},
		{"Ed25519 by the old name of its algorithm", edMembers() + `,"alg":"EdDSA"`, "EdDSA", ""},
		{"Ed25519 by the new one", edMembers() + `,"alg":"Ed25519"`, "EdDSA", ""},
		{"a kid", edMembers() + `,"kid":"2026-11 (new)"`, "2026-11 (new):EdDSA", ""},
		{"a kid of 128 bytes", edMembers() + `,"kid":"` + strings.Repeat("k", 128) + `"`, strings.Repeat("k", 128) + ":EdDSA", ""},
		{"for signatures", edMembers() + `,"use":"sig","key_ops":["verify"]`, "EdDSA", ""},
		{"for several things", edMembers() + `,"key_ops":["sign","verify"]`, "EdDSA", ""},
		{"members that nobody knows do no harm", edMembers() + `,"x5t":"AAAA","x5c":["AAAA"],"iat":1,"exp":null`, "EdDSA", ""},

		{"for encryption", rsaMembers() + `,"use":"enc"`, leftOut, "use"},
		{"for signatures, in capitals", rsaMembers() + `,"use":"SIG"`, leftOut, "use"},
		{"for nothing", rsaMembers() + `,"use":""`, leftOut, "use"},
		{"for null", rsaMembers() + `,"use":null`, leftOut, "use"},
		{"operations without verify", rsaMembers() + `,"key_ops":["encrypt","wrapKey"]`, leftOut, "key_ops"},
		{"operations of which the beginning is verify", rsaMembers() + `,"key_ops":["verify, sign"]`, leftOut, "key_ops"},
		{"no operations", rsaMembers() + `,"key_ops":[]`, leftOut, "key_ops"},
		{"operations null", rsaMembers() + `,"key_ops":null`, leftOut, "key_ops"},
		{"operations that are no list", rsaMembers() + `,"key_ops":"verify"`, leftOut, "type"},
		{"use sig, but operations without verify", rsaMembers() + `,"use":"sig","key_ops":["encrypt"]`, leftOut, "key_ops"},

		{"an empty kid", edMembers() + `,"kid":""`, leftOut, "kid"},
		{"a kid null", edMembers() + `,"kid":null`, leftOut, "kid"},
		{"a kid of 129 bytes", edMembers() + `,"kid":"` + strings.Repeat("k", 129) + `"`, leftOut, "kid"},
		{"a kid with a line break", edMembers() + `,"kid":"a\nb"`, leftOut, "kid"},
		{"a kid with a NUL", edMembers() + `,"kid":"a\u0000b"`, leftOut, "kid"},
		{"a kid that turns the text round", edMembers() + `,"kid":"a\u202eb"`, leftOut, "kid"},
		{"a kid with a letter of no width", edMembers() + `,"kid":"a\u200bb"`, leftOut, "kid"},
		{"a kid that is a number", edMembers() + `,"kid":1`, leftOut, "type"},

		{"an algorithm for encryption", rsaMembers() + `,"alg":"RSA-OAEP"`, leftOut, "alg"},
		{"an algorithm that nobody knows", rsaMembers() + `,"alg":"RS257"`, leftOut, "alg"},
		{"an algorithm in small letters", rsaMembers() + `,"alg":"rs256"`, leftOut, "alg"},
		{"no signature", rsaMembers() + `,"alg":"none"`, leftOut, "alg"},
		{"an algorithm of no name", rsaMembers() + `,"alg":""`, leftOut, "alg"},
		{"an algorithm null", rsaMembers() + `,"alg":null`, leftOut, "alg"},
		{"an algorithm that is a number", rsaMembers() + `,"alg":256`, leftOut, "type"},
		{"an algorithm of another kind of key", rsaMembers() + `,"alg":"ES256"`, leftOut, "ES256"},
		{"an algorithm of secrets", rsaMembers() + `,"alg":"HS256"`, leftOut, "HS256"},
		{"an algorithm of another curve", ecMembers(p256()) + `,"alg":"ES384"`, leftOut, "ES384"},
		{"ES256K, which is of another curve", ecMembers(p256()) + `,"alg":"ES256K"`, leftOut, "alg"},

		{"no kind", `"crv":"Ed25519","x":"AAAA"`, leftOut, "kty"},
		{"another kind", `"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"`, leftOut, "alg"},
		{"a kind in small letters", strings.Replace(edMembers(), "OKP", "okp", 1), leftOut, "kty"},
		{"a kind in a name in capitals", strings.Replace(edMembers(), "kty", "KTY", 1), leftOut, "kty"},
		{"a kind that is a list", strings.Replace(edMembers(), `"OKP"`, `["OKP"]`, 1), leftOut, "type"},
		{"P-256K", ec("secp256k1", x, y), leftOut, "crv"},
		{"P-224", ec("P-224", x, y), leftOut, "crv"},
		{"no curve", ec("", x, y), leftOut, "crv"},
		{"Ed448", okp("Ed448", encode(make([]byte, 57))), leftOut, "crv"},
		{"X25519, with which nothing is signed", okp("X25519", x), leftOut, "crv"},

		{"a point off its curve", ec("P-256", x, encode(append(point[32:63:63], point[63]^1))), leftOut, "curve"},
		{"a point of another curve", ec("P-384", x, y), leftOut, "48 bytes"},
		{"the point at infinity", ec("P-256", encode(make([]byte, 32)), encode(make([]byte, 32))), leftOut, "curve"},
		{"a coordinate without its zeros in front", ec("P-256", encode(point[1:32]), y), leftOut, "32 bytes"},
		{"a coordinate with a zero more", ec("P-256", encode(append([]byte{0}, point[:32]...)), y), leftOut, "32 bytes"},
		{"a coordinate missing", `"kty":"EC","crv":"P-256","x":"` + x + `"`, leftOut, "32 bytes"},
		{"a coordinate with padding", ec("P-256", x+"=", y), leftOut, "base64url"},
		{"a coordinate with a line break", ec("P-256", x[:5]+"\n"+x[5:], y), leftOut, "base64url"},
		{"a coordinate in the standard alphabet", ec("P-256", x, "+/"+y[2:]), leftOut, "base64url"},
		{"a coordinate with bits left over", ec("P-256", x, y[:42]+twist(y[42])), leftOut, "base64url"},
		{"Ed25519 with 31 bytes", okp("Ed25519", encode(make([]byte, 31))), leftOut, "32 bytes"},
		{"Ed25519 all zeros", okp("Ed25519", encode(make([]byte, 32))), leftOut, "Ed25519"},

		{"1024 bits", rsa(encode(rsaKey().N.Bytes()[:128]), "AQAB"), leftOut, "1024"},
		{"the exponent 3", rsa(n, "Aw"), leftOut, "exponent 3"},
		{"the exponent 1", rsa(n, "AQ"), leftOut, "exponent 1"},
		{"an even exponent", rsa(n, "AQAC"), leftOut, "exponent"},
		{"an exponent of 33 bits", rsa(n, "AQAAAAE"), leftOut, "n or e"},
		{"an exponent of 72 bits", rsa(n, "AQAAAAAAAAAB"), leftOut, "n or e"},
		{"an exponent with a zero in front", rsa(n, "AAEAAQ"), leftOut, "zeros"},
		{"a modulus with a zero in front", rsa(encode(append([]byte{0}, rsaKey().N.Bytes()...)), "AQAB"), leftOut, "zeros"},
		{"no modulus", rsa("", "AQAB"), leftOut, "n or e"},
		{"no exponent", `"kty":"RSA","n":"` + n + `"`, leftOut, "n or e"},
		{"an exponent that is a number", `"kty":"RSA","n":"` + n + `","e":65537`, leftOut, "type"},
		{"a modulus with a line break", rsa(n[:9]+"\r\n"+n[9:], "AQAB"), leftOut, "n or e"},
		{"an even modulus", rsa(encode(new(big.Int).Lsh(rsaKey().N, 1).Bytes()), "AQAB"), leftOut, "2 divides"},

		{"a private key on a curve", ecMembers(p256()) + `,"d":"AAAA"`, refusedWhole, "private key"},
		{"a private RSA key", rsaMembers() + `,"d":"AAAA","p":"AAAA","q":"AAAA"`, refusedWhole, "private key"},
		{"a prime of an RSA key", rsaMembers() + `,"q":"AAAA"`, refusedWhole, "private key"},
		{"the rest of an RSA key", rsaMembers() + `,"oth":[]`, refusedWhole, "private key"},
		{"a private Ed25519 key", edMembers() + `,"d":"AAAA"`, refusedWhole, "private key"},
		{"a private key for encryption", rsaMembers() + `,"use":"enc","d":"AAAA"`, refusedWhole, "private key"},
		{"a private key of a kind that nobody knows", `"kty":"AKP","alg":"ML-DSA-44","priv":"AAAA"`, refusedWhole, "private key"},
		{"a secret", `"kty":"oct","k":"` + random + `"`, refusedWhole, "secret"},
		{"a secret for encryption", `"kty":"oct","use":"enc","k":"AAAA"`, refusedWhole, "secret"},
		{"a secret without its value", `"kty":"oct","kid":"1"`, refusedWhole, "secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			const other = `"kid":"other",`
			keys, leftOutFor, err := key.ParseJWKS([]byte(set(test.members, other+ecMembers(p521()))), "")
			switch test.want {
			case refusedWhole:
				refused(t, err, test.says)
				if keys != nil || leftOutFor != nil {
					t.Errorf("with the error come %s and %v", describe(keys), leftOutFor)
				}
			case leftOut:
				if err != nil || len(leftOutFor) != 1 || describe(keys) != "other:ES512" {
					t.Fatalf("got %s, left out %v, error %v; want one key and one left out", describe(keys), leftOutFor, err)
				}
				refused(t, leftOutFor[0], "number 1", test.says)
			default:
				if err != nil || leftOutFor != nil || describe(keys) != test.want+" other:ES512" {
					t.Errorf("got %s, left out %v, error %v; want %s", describe(keys), leftOutFor, err, test.want)
				}
			}
		})
	}
}

// twist is another spelling of a character at the end, of the same bytes.
func twist(last byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := strings.IndexByte(alphabet, last)
	return alphabet[at+1 : at+2]
}

// A key read from a JWK verifies what the private key has signed.
func TestAJWKIsTheKeyThatItDescribes(t *testing.T) {
	for members, private := range map[string]crypto.Signer{
		rsaMembers(): rsaKey(), ecMembers(p256()): p256(), ecMembers(p384()): p384(), ecMembers(p521()): p521(), edMembers(): edKey(),
	} {
		signing := must(key.Private(private, ""))
		keys, _, err := key.ParseJWKS([]byte(set(members)), "")
		if err != nil || len(keys) != 1 {
			t.Fatalf("got %d keys and %v", len(keys), err)
		}
		if signature := must(signing.Sign("x")); !keys[0].Verify("x", signature) || keys[0].Verify("y", signature) {
			t.Errorf("%s: it is another key", keys[0].Algorithm)
		}
	}
}

func TestThumbprints(t *testing.T) {
	for _, test := range []struct{ name, members, want string }{
		{"the RSA key of RFC 7638 section 3.1", `"kty":"RSA","alg":"RS256","kid":"2011-04-29","e":"AQAB",
			"n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"`,
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{"the Ed25519 key of RFC 8037 appendix A.3", `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`,
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, leftOut, err := key.ParseJWKS([]byte(set(test.members)), "")
			if err != nil || len(keys) != 1 {
				t.Fatalf("got %v, left out %v", err, leftOut)
			}
			if got := keys[0].Thumbprint(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	t.Run("another key has another, a secret has none", func(t *testing.T) {
		a, b := must(key.Public(&p256().PublicKey, "")).Thumbprint(), must(key.Public(&p384().PublicKey, "")).Thumbprint()
		if a == b || len(a) != 43 || len(b) != 43 {
			t.Errorf("got %q and %q", a, b)
		}
		if got := must(key.Secret([]byte(random), "HS256")).Thumbprint(); got != "" {
			t.Errorf("the thumbprint %q tells of a secret", got)
		}
	})
}
