package key_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// FuzzParseJWKS expects that whatever is accepted is sound, is written and read again
// as the same, and has nothing private in it.
func FuzzParseJWKS(f *testing.F) {
	f.Add(set(rsaMembers()+`,"kid":"1"`, edMembers()+`,"kid":"2"`, ecMembers(p256())), "")
	f.Add(set(rsaMembers()+`,"use":"enc"`, ecMembers(p521())+`,"alg":"ES512","key_ops":["verify"]`), "RS256")
	f.Add(set(edMembers()+`,"d":"AAAA"`), "")
	f.Add(set(`"kty":"oct","k":"AAAA"`), "HS256")
	f.Add(`{"keys":[],"keys":[]}`, "none")
	f.Fuzz(func(t *testing.T, data, algorithm string) {
		keys, _, err := key.ParseJWKS([]byte(data), algorithm)
		if err != nil {
			if keys != nil {
				t.Fatal("keys come with the error")
			}
			return
		}
		checkKeys(t, keys)
		var other struct{ Keys []map[string]any }
		if err := json.Unmarshal([]byte(data), &other); err != nil {
			t.Fatalf("accepted and no JSON: %v", err)
		}
		for _, members := range other.Keys {
			if members["d"] != nil || members["k"] != nil || members["kty"] == "oct" {
				t.Fatal("something private is accepted")
			}
		}
	})
}

// FuzzParsePEM expects the same of files.
func FuzzParsePEM(f *testing.F) {
	f.Add(pkix(&rsaKey().PublicKey)+pkix(&p256().PublicKey), "")
	f.Add(pkcs8(p256()), "ES256")
	f.Add(certificate(p256(), 0), "")
	f.Add("{"+edMembers()+"}", "Ed25519")
	f.Add(set(ecMembers(p384())), "")
	f.Fuzz(func(t *testing.T, file, algorithm string) {
		keys, err := key.ParsePEM([]byte(file), algorithm)
		switch {
		case err != nil && keys != nil:
			t.Fatal("keys come with the error")
		case err == nil && len(keys) == 0:
			t.Fatal("accepted without a key")
		case err == nil && strings.Contains(file, "-----BEGIN PRIVATE KEY-----\n"):
			t.Fatal("accepted with a private key")
		case err == nil:
			checkKeys(t, keys)
		}
		if k, err := key.ParsePrivatePEM([]byte(file), algorithm); err == nil {
			if signature, err := k.Sign("x"); err != nil || !k.Verify("x", signature) {
				t.Fatalf("what it signs (%v) it does not verify", err)
			}
		}
	})
}

// checkKeys expects keys to be as any may be.
func checkKeys(t *testing.T, keys []*key.Key) {
	t.Helper()
	for _, k := range keys {
		if !slices.Contains(key.Algorithms, k.Algorithm) || k.Algorithm[:2] == "HS" || k.Verify("x", nil) || len(k.ID) > 128 {
			t.Fatalf("%q for %q is accepted", k.ID, k.Algorithm)
		}
	}
	data, err := key.MarshalJWKS(keys)
	if err != nil {
		t.Fatal(err)
	}
	if read, leftOut, err := key.ParseJWKS(data, ""); err != nil || leftOut != nil || describe(read) != describe(keys) {
		t.Fatalf("%s becomes %s, left out %v, error %v", describe(keys), describe(read), leftOut, err)
	}
}
