package key_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

func TestEd25519KeysThatAreNone(t *testing.T) {
	for _, test := range []struct{ name, public string }{
		{"all zeros, as of a key that was never filled in", "0000000000000000000000000000000000000000000000000000000000000000"},
		{"the neutral point, for which all sign", "0100000000000000000000000000000000000000000000000000000000000000"},
		{"the point of order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"a point of order 4", "0000000000000000000000000000000000000000000000000000000000000080"},
		{"a point of order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"},
		{"another", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"},
		{"zero in another spelling", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"a sound point in another spelling", "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"a number that is no point", "0200000000000000000000000000000000000000000000000000000000000000"},
		{"31 bytes", "01000000000000000000000000000000000000000000000000000000000000"},
		{"nothing", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := key.Public(ed25519.PublicKey(must(hex.DecodeString(test.public))), "")
			refused(t, err, "no Ed25519 key")
		})
	}
}

// With a point of small order, a signature of zeros is one of anything: crypto/ed25519
// does not refuse it.
func TestTheStandardLibraryAcceptsSuchKeys(t *testing.T) {
	neutral := append([]byte{1}, make([]byte, 31)...)
	if !ed25519.Verify(neutral, []byte("anything"), append(neutral, make([]byte, 32)...)) {
		t.Error("it does not any more: the check can go")
	}
}
