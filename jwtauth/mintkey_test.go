package jwtauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// oneRSAKey is made once, because that takes long.
var oneRSAKey = sync.OnceValues(func() (crypto.Signer, error) { return generate("rsa") })

// generated writes the files of a key pair, a new one but for RSA, and returns the
// name of the private one and the public key.
func generated(t *testing.T, kind string) (file string, public any) {
	t.Helper()
	private, err := oneRSAKey()
	if kind != "rsa" {
		private, err = generate(kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	files, _, err := pairFiles(filepath.Join(t.TempDir(), kind+".pem"), private)
	if err == nil {
		err = writeKeyFiles(false, files...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return files[0].name, private.Public()
}

func TestEveryAlgorithmSigns(t *testing.T) {
	type pair struct {
		file   string
		public any
	}
	pairs := make(map[string]pair)
	for _, kind := range []string{"rsa", "es256", "es384", "es512", "ed25519"} {
		file, public := generated(t, kind)
		pairs[kind] = pair{file, public}
	}
	long := secret + oldSecret
	for _, test := range []struct{ kind, algorithm, want string }{
		{"", "", "HS256"}, {"", "HS256", "HS256"}, {"", "HS384", "HS384"}, {"", "HS512", "HS512"},
		{"rsa", "", "RS256"}, {"rsa", "RS256", "RS256"}, {"rsa", "RS384", "RS384"}, {"rsa", "RS512", "RS512"},
		{"rsa", "PS256", "PS256"}, {"rsa", "PS384", "PS384"}, {"rsa", "PS512", "PS512"},
		{"es256", "", "ES256"}, {"es384", "", "ES384"}, {"es512", "ES512", "ES512"},
		{"ed25519", "", "EdDSA"}, {"ed25519", "EdDSA", "EdDSA"}, {"ed25519", "Ed25519", "EdDSA"},
	} {
		t.Run(test.kind+" "+test.algorithm, func(t *testing.T) {
			config, public := Minter{Secret: Secret{Value: long, Algorithm: test.algorithm}}, any([]byte(long))
			if test.kind != "" {
				config = Minter{PrivateKey: PrivateKey{File: pairs[test.kind].file, Algorithm: test.algorithm}}
				public = pairs[test.kind].public
			}
			if got := parsed(t, sent(t, newMinter(t, config)), public).Method.Alg(); got != test.want {
				t.Errorf("signs with %s, want %s", got, test.want)
			}
		})
	}
}

// setClock sets the clock of the handler, that many seconds after now.
func (m *Minter) setClock(seconds float64) {
	m.now = func() time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }
}

// signedBy tells which of the keys has signed the token that is sent now.
func signedBy(t *testing.T, m *Minter, keys map[string]any) string {
	t.Helper()
	compact := sent(t, m)
	for name, key := range keys {
		_, err := jwt.Parse(compact, func(*jwt.Token) (any, error) { return key, nil }, jwt.WithoutClaimsValidation())
		if err == nil {
			return name
		}
	}
	return "none of the keys"
}

func overwrite(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAChangedKeyFileCountsWithinSeconds(t *testing.T) {
	file := writeFile(t, secret)
	privateFile, firstPublic := generated(t, "es256")
	otherFile, secondPublic := generated(t, "es256")
	otherPEM, err := os.ReadFile(otherFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, file, changed string
		config              Minter
		keys                map[string]any
	}{
		{"secret", file, oldSecret + "\n", Minter{Secret: Secret{Value: "{file." + file + "}"}},
			map[string]any{"first": []byte(secret), "second": []byte(oldSecret)}},
		{"private key", privateFile, string(otherPEM), Minter{PrivateKey: PrivateKey{File: privateFile}},
			map[string]any{"first": firstPublic, "second": secondPublic}},
	} {
		for _, reuse := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(test.name, " reuse ", reuse), func(t *testing.T) {
				before, err := os.ReadFile(test.file)
				if err != nil {
					t.Fatal(err)
				}
				defer overwrite(t, test.file, string(before))
				test.config.Reuse = caddy.Duration(reuse)
				m := newMinter(t, test.config)
				if got := signedBy(t, m, test.keys); got != "first" {
					t.Errorf("before the change it signs with %s", got)
				}
				overwrite(t, test.file, test.changed)
				m.setClock(2)
				if got := signedBy(t, m, test.keys); got != "second" {
					t.Errorf("2 s after the change it signs with %s", got)
				}
			})
		}
	}
}

// Each request must not cost a look at the disk.
func TestAKeyFileIsNotReadForEachRequest(t *testing.T) {
	file := writeFile(t, secret)
	m := newMinter(t, Minter{Secret: Secret{Value: "{file." + file + "}"}})
	sent(t, m)
	overwrite(t, file, oldSecret)
	m.setClock(1.9)
	keys := map[string]any{"first": []byte(secret), "second": []byte(oldSecret)}
	if got := signedBy(t, m, keys); got != "first" {
		t.Errorf("1.9 s after it was read it signs with %s", got)
	}
	m.setClock(-3600) // set back: how long ago that was is not known any more
	if got := signedBy(t, m, keys); got != "second" {
		t.Errorf("with the clock set back it signs with %s", got)
	}
}

func TestABadKeyFileChangesNothingButTheLog(t *testing.T) {
	file := writeFile(t, secret)
	m := newMinter(t, Minter{Secret: Secret{Value: "{file." + file + "}"}})
	core, logs := observer.New(zapcore.InfoLevel)
	m.key.logger = zap.New(core)
	keys := map[string]any{"first": []byte(secret), "second": []byte(oldSecret)}
	clock := 0.0
	expect := func(signer string, messages int) {
		t.Helper()
		clock += 2
		m.setClock(clock)
		if got := signedBy(t, m, keys); got != signer {
			t.Errorf("it signs with %s, want %s", got, signer)
		}
		if n := logs.Len(); n != messages {
			t.Errorf("there are %d messages, want %d: %v", n, messages, logs.All())
		}
	}
	expect("first", 0)
	overwrite(t, file, "canary-short")
	expect("first", 1)
	expect("first", 1) // not again for the same fault
	overwrite(t, file, secret)
	expect("first", 1) // as it was: nothing has happened
	overwrite(t, file, "canary-short")
	expect("first", 2) // a fault that comes back is a new one
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("first", 3)
	overwrite(t, file, oldSecret)
	expect("second", 4)
	for i, entry := range logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "canary") {
			t.Errorf("the log tells the secret: %s", text)
		}
		if want := entry.Level == zapcore.ErrorLevel; want != (i < 3) {
			t.Errorf("message %d has level %v", i, entry.Level)
		}
	}
}

// certificateFile writes a new certificate in PEM form, and returns its DER.
func certificateFile(t *testing.T, file string, more ...*pem.Block) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, block := range append([]*pem.Block{{Type: "CERTIFICATE", Bytes: der}}, more...) {
		text.Write(pem.EncodeToMemory(block))
	}
	overwrite(t, file, text.String())
	return der
}

// boundTo is the cnf of a token that is bound to a certificate, as RFC 8705 section 3.1 has it.
func boundTo(der []byte) string {
	sum := sha256.Sum256(der)
	return fmt.Sprintf(`{"x5t#S256":%q}`, base64.RawURLEncoding.EncodeToString(sum[:]))
}

func TestATokenIsBoundToTheCertificate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.crt")
	ca := certificateFile(t, file)
	der := certificateFile(t, file, &pem.Block{Type: "CERTIFICATE", Bytes: ca})
	m := newMinter(t, Minter{Certificate: file})
	if got := string(payloadOf(t, sent(t, m))["cnf"]); got != boundTo(der) {
		t.Errorf("cnf is %s, want the first certificate of the file: %s", got, boundTo(der))
	}

	// reverse_proxy reads its certificate at load and shows that one until the next
	certificateFile(t, file)
	m.setClock(10)
	if got := string(payloadOf(t, sent(t, m))["cnf"]); got != boundTo(der) {
		t.Errorf("after a change of the file cnf is %s, want the one at load: %s", got, boundTo(der))
	}
}

func TestACertificateMayStandBehindItsKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.pem")
	der := certificateFile(t, file)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	if got := string(payloadOf(t, sent(t, newMinter(t, Minter{Certificate: file})))["cnf"]); got != boundTo(der) {
		t.Errorf("cnf is %s, want %s", got, boundTo(der))
	}
}
