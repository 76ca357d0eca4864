package token_test

import (
	"crypto/hmac"
	"crypto/sha512"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestSignature(t *testing.T) {
	signed := encode(goodHeader) + "." + encode(goodClaims)
	sum := string(mac(signed, secret))
	long := hmac.New(sha512.New, secret)
	long.Write([]byte(signed))
	for _, test := range []struct {
		name      string
		signature string
		want      token.Fault
	}{
		{"ours", sum, ""},
		{"of another secret", string(mac(signed, oldSecret)), token.BadSignature},
		{"of an empty secret", string(mac(signed, nil)), token.BadSignature},
		{"of our secret with a line break", string(mac(signed, append(secret[:len(secret):len(secret)], '\n'))), token.BadSignature},
		{"of other claims", string(mac(encode(goodHeader)+"."+encode(good(`"a":1`)), secret)), token.BadSignature},
		{"cut short", sum[:31], token.BadSignature},
		{"of one byte", sum[:1], token.BadSignature},
		{"with a byte more", sum + "\x00", token.BadSignature},
		{"twice", sum + sum, token.BadSignature},
		{"of HS512 under a header of HS256", string(long.Sum(nil)), token.BadSignature},
		{"all zero", strings.Repeat("\x00", 32), token.BadSignature},
	} {
		t.Run(test.name, func(t *testing.T) {
			check(t, verifier, signed+"."+encode(test.signature), now, test.want)
		})
	}
}

func TestEveryBitOfTheSignatureCounts(t *testing.T) {
	signed := encode(goodHeader) + "." + encode(goodClaims)
	for bit := range 256 {
		sum := mac(signed, secret)
		sum[bit/8] ^= 1 << (bit % 8)
		check(t, verifier, signed+"."+encode(string(sum)), now, token.BadSignature)
	}
}

func TestEveryByteOfTheClaimsIsSigned(t *testing.T) {
	sound := sign(goodHeader, goodClaims)
	signature := sound[strings.LastIndexByte(sound, '.'):]
	for i := range goodClaims {
		twisted := []byte(goodClaims)
		twisted[i] ^= 1
		check(t, verifier, encode(goodHeader)+"."+encode(string(twisted))+signature, now, token.BadSignature)
	}
}

// Nobody without a secret learns what is wrong with the claims.
func TestClaimsAreNotReadBeforeTheSignatureIsRight(t *testing.T) {
	for _, claims := range []string{"no JSON", `{}`, claims(`"x"`, "1", "2", "")} {
		check(t, verifier, encode(goodHeader)+"."+encode(claims)+"."+encode("wrong"), now, token.BadSignature)
	}
}

func TestRotation(t *testing.T) {
	signed := encode(goodHeader) + "." + encode(goodClaims)
	ofOld := signed + "." + encode(string(mac(signed, oldSecret)))
	ofNew := signed + "." + encode(string(mac(signed, secret)))
	for _, test := range []struct {
		name     string
		secrets  [][]byte
		old, new token.Fault
	}{
		{"before it, the old secret counts", [][]byte{oldSecret}, "", token.BadSignature},
		{"during it, both secrets count", [][]byte{secret, oldSecret}, "", ""},
		{"whichever is named first", [][]byte{oldSecret, secret}, "", ""},
		{"after it, the old secret counts no more", [][]byte{secret}, token.BadSignature, ""},
		{"with no secret at all, no token counts", nil, token.BadAlgorithm, token.BadAlgorithm},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := verifier
			v.Keys = secretKeys(test.secrets...)
			check(t, v, ofOld, now, test.old)
			check(t, v, ofNew, now, test.new)
		})
	}
}
