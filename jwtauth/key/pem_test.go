package key_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// certificate is a self-signed one of a key, for a usage.
func certificate(private crypto.Signer, usage x509.KeyUsage) string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), KeyUsage: usage}
	return block("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)))
}

func TestPublicKeysOfAFile(t *testing.T) {
	rsaPEM, ecPEM := pkix(&rsaKey().PublicKey), pkix(&p256().PublicKey)
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader)).PublicKey()
	for _, test := range []struct {
		name, file, algorithm string
		want                  string   // the keys
		says                  []string // the error, if there are none
	}{
		{"an RSA key is for RS256", rsaPEM, "", "RS256", nil},
		{"or for another algorithm of RSA, if that is said", rsaPEM, "PS384", "PS384", nil},
		{"an RSA key in the older form", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)), "RS512", "RS512", nil},
		{"a key on P-256 is for ES256", ecPEM, "", "ES256", nil},
		{"a key on P-384 is for ES384", pkix(&p384().PublicKey), "", "ES384", nil},
		{"a key on P-521 is for ES512", pkix(&p521().PublicKey), "", "ES512", nil},
		{"an Ed25519 key is for EdDSA", pkix(edKey().Public()), "", "EdDSA", nil},
		{"EdDSA by its new name", pkix(edKey().Public()), "Ed25519", "EdDSA", nil},
		{"a certificate stands for its key", certificate(p256(), 0), "", "ES256", nil},
		{"a certificate for signatures", certificate(rsaKey(), x509.KeyUsageDigitalSignature), "PS256", "PS256", nil},
		{"several keys, for rotation", rsaPEM + ecPEM + pkix(edKey().Public()), "", "RS256 ES256 EdDSA", nil},
		{"text around the blocks", "Our keys:\n" + rsaPEM + "and\n" + ecPEM + "\n", "", "RS256 ES256", nil},
		{"line ends of Windows", strings.ReplaceAll(ecPEM, "\n", "\r\n"), "", "ES256", nil},
		{"a JWK", "\n {" + ecMembers(p256()) + `,"kid":"1"}` + "\n", "", "1:ES256", nil},
		{"a JWK Set", set(rsaMembers()+`,"kid":"1"`, edMembers()+`,"kid":"2"`), "", "1:RS256 2:EdDSA", nil},
		{"a JWK Set, of which only the keys for one algorithm are asked", set(rsaMembers()+`,"kid":"1"`, edMembers()+`,"kid":"2"`), "RS512", "1:RS512", nil},
		{"a JWK Set, keys for encryption left out", set(rsaMembers()+`,"use":"enc","kid":"1"`, edMembers()+`,"kid":"2"`), "", "2:EdDSA", nil},

		{"nothing", "", "", "", []string{"PEM"}},
		{"a key in DER", string(must(x509.MarshalPKIXPublicKey(&p256().PublicKey))), "", "", []string{"PEM"}},
		{"a key of SSH", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHSbX x@y", "", "", []string{"PEM"}},
		{"a private key in PKCS #8", pkcs8(p256()), "", "", []string{"private key", "openssl pkey"}},
		{"a private key in PKCS #1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), "", "", []string{"private key"}},
		{"a private key in SEC 1", block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p256()))), "", "", []string{"private key"}},
		{"a private key that is encrypted", block("ENCRYPTED PRIVATE KEY", []byte("x")), "", "", []string{"private key"}},
		{"a private key of SSH", block("OPENSSH PRIVATE KEY", []byte("x")), "", "", []string{"private key"}},
		{"a private key after its public half", ecPEM + pkcs8(p256()), "", "", []string{"private key"}},
		{"a private JWK", "{" + ecMembers(p256()) + `,"d":"AAAA"}`, "", "", []string{"private key"}},
		{"a secret as a JWK", `{"kty":"oct","k":"AAAA"}`, "", "", []string{"secret"}},
		{"a request for a certificate", block("CERTIFICATE REQUEST", []byte("x")), "", "", []string{"CERTIFICATE REQUEST", "PUBLIC KEY"}},
		{"a certificate with those of its authority", certificate(p256(), 0) + certificate(p384(), 0), "", "", []string{"several certificates"}},
		{"a certificate for encryption", certificate(rsaKey(), x509.KeyUsageKeyEncipherment), "", "", []string{"digital signature"}},
		{"a certificate that is none", block("CERTIFICATE", []byte("x")), "", "", []string{"CERTIFICATE"}},
		{"a block that is no key", block("PUBLIC KEY", []byte("x")), "", "", []string{"PUBLIC KEY"}},
		{"a block that says another form", block("RSA PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&p256().PublicKey))), "", "", []string{"RSA PUBLIC KEY"}},
		{"a block that is damaged, after one that is not", rsaPEM + strings.Replace(ecPEM, "M", "?", 1), "", "", []string{"1 of its 2", "damaged"}},
		{"a block without its end", rsaPEM[:len(rsaPEM)-20], "", "", []string{"damaged"}},
		{"a key on P-224", pkix(&p224().PublicKey), "", "", []string{"P-224", "too weak"}},
		{"an RSA key of 1024 bits", pkix(&must(rsa.GenerateKey(rand.Reader, 1024)).PublicKey), "", "", []string{"1024", "2048"}},
		{"an RSA key with the exponent 3", pkix(&rsa.PublicKey{N: rsaKey().N, E: 3}), "", "", []string{"exponent 3"}},
		{"an X25519 key", pkix(x25519), "", "", []string{"RSA, ECDSA or Ed25519"}},
		{"an algorithm of another kind of key", ecPEM, "RS256", "", []string{"ES256", "RS256"}},
		{"an algorithm of another curve", ecPEM, "ES384", "", []string{"ES256", "ES384"}},
		{"an algorithm of secrets", rsaPEM, "HS256", "", []string{"RS256", "HS256"}},
		{"the algorithm none", rsaPEM, "none", "", []string{"RS256", "none"}},
		{"an algorithm in small letters", rsaPEM, "rs256", "", []string{"rs256"}},
		{"a JWK that is for another algorithm", "{" + rsaMembers() + `,"alg":"RS512"}`, "RS256", "", []string{"RS512", "RS256"}},
		{"a JWK that is for encryption", "{" + rsaMembers() + `,"use":"enc"}`, "", "", []string{"use is not sig"}},
		{"an empty JWK Set", `{"keys":[]}`, "", "", []string{"no key"}},
		{"two JWKs with a comma between", "{" + ecMembers(p256()) + "},{" + ecMembers(p256()) + "}", "", "", []string{"no JWK Set"}},
		{"other JSON", `{"key":"x"}`, "", "", []string{"no JWK Set"}},
		{"half a JSON object", `{"keys":[{`, "", "", []string{"no JWK Set"}},
		{"more keys for an algorithm than are tried on every token", strings.Repeat(ecPEM, 5), "", "", []string{"more than 4", "kid"}},
		{"more than a file of keys has", strings.Repeat(ecPEM, 2000), "", "", []string{"262144"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, err := key.ParsePEM([]byte(test.file), test.algorithm)
			if test.says != nil {
				refused(t, err, test.says...)
				if keys != nil {
					t.Error("keys come with the error")
				}
			} else if err != nil || describe(keys) != test.want {
				t.Errorf("got %s and %v, want %s", describe(keys), err, test.want)
			}
		})
	}
}

func TestAsManyKeysAsAreTriedMayHaveNoKid(t *testing.T) {
	keys, err := key.ParsePEM([]byte(strings.Repeat(pkix(&p256().PublicKey), 4)+strings.Repeat(pkix(edKey().Public()), 4)), "")
	if err != nil || len(keys) != 8 {
		t.Errorf("got %d keys and %v", len(keys), err)
	}
}

func TestThePrivateKeyOfAFile(t *testing.T) {
	sec1 := func(private *ecdsa.PrivateKey) string {
		return block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(private)))
	}
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey()))
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	oldCipher := string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x"),
	}))
	// as `openssl ecparam -genkey` writes before the key
	parameters := block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	for _, test := range []struct {
		name, file, algorithm string
		want                  string
		says                  []string
	}{
		{"RSA in PKCS #8", pkcs8(rsaKey()), "", "RS256", nil},
		{"RSA in PKCS #1", pkcs1, "PS512", "PS512", nil},
		{"P-256 in PKCS #8", pkcs8(p256()), "", "ES256", nil},
		{"P-384 in SEC 1", sec1(p384()), "", "ES384", nil},
		{"P-521 in SEC 1, after its parameters", parameters + sec1(p521()), "ES512", "ES512", nil},
		{"Ed25519", pkcs8(edKey()), "Ed25519", "EdDSA", nil},
		{"with its certificate", pkcs8(p256()) + certificate(p256(), 0), "", "ES256", nil},

		{"nothing", "", "", "", []string{"PEM"}},
		{"a public key", pkix(&p256().PublicKey), "", "", []string{"no private key"}},
		{"two private keys", pkcs8(p256()) + pkcs1, "", "", []string{"several private keys"}},
		{"one that is encrypted", block("ENCRYPTED PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p256()))), "", "", []string{"not encrypted", "openssl"}},
		{"one that is encrypted in the older way", oldCipher, "", "", []string{"not encrypted"}},
		{"one that is damaged", block("PRIVATE KEY", []byte("x")), "", "", []string{"cannot be read"}},
		{"another form than it says", block("EC PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), "", "", []string{"cannot be read"}},
		{"P-224", pkcs8(p224()), "", "", []string{"P-224"}},
		{"RSA of 1024 bits", pkcs8(must(rsa.GenerateKey(rand.Reader, 1024))), "", "", []string{"1024"}},
		{"X25519", pkcs8(x25519), "", "", []string{"RSA, ECDSA or Ed25519"}},
		{"an algorithm of another kind of key", pkcs8(edKey()), "ES256", "", []string{"EdDSA", "ES256"}},
		{"a JWK", "{" + ecMembers(p256()) + `,"d":"AAAA"}`, "", "", []string{"PEM"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k, err := key.ParsePrivatePEM([]byte(test.file), test.algorithm)
			if test.says != nil {
				refused(t, err, test.says...)
				return
			}
			if err != nil || k.Algorithm != test.want {
				t.Fatalf("got %v and %v, want %s", k, err, test.want)
			}
			if signature, err := k.Sign("x"); err != nil || !k.Verify("x", signature) {
				t.Errorf("what it signs (%v) it does not verify", err)
			}
		})
	}
}

// Errors are logged.
func TestNoErrorTellsAPrivateKey(t *testing.T) {
	for _, file := range []string{pkcs8(p256()), pkcs8(rsaKey()), pkcs8(edKey()), "{" + ecMembers(p256()) + `,"d":"MHcCAQEEIIAAAAAAAAAA"}`} {
		for _, damage := range []string{file, strings.Replace(file, "PRIVATE", "EC PRIVATE", 2), file[:len(file)-9], strings.Replace(file, "M", "N", 1), file + file} {
			_, err := key.ParsePEM([]byte(damage), "HS256")
			_, errPrivate := key.ParsePrivatePEM([]byte(damage), "HS256")
			for _, err := range []error{err, errPrivate} {
				if err == nil {
					t.Fatalf("%q is accepted", damage)
				}
				for i := 30; i+8 < len(file)-30; i++ {
					if strings.Contains(err.Error(), file[i:i+8]) {
						t.Fatalf("error %q has a part of the key", err)
					}
				}
			}
		}
	}
}
