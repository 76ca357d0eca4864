package token_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// Tokens that the libraries of other languages make with our keys are accepted.
func TestTokensOfPyJWT(t *testing.T) {
	python := ""
	for _, candidate := range []string{"python3", "/usr/bin/python3"} { // Debian's has its packages
		if exec.Command(candidate, "-c", "import jwt").Run() == nil {
			python = candidate
		}
	}
	if python == "" {
		t.Skip("needs Python 3 with PyJWT, Debian's python3-jwt")
	}
	checkTokensOf(t, exec.Command(python, "interop/tokens.py"))
}

func TestTokensOfJose(t *testing.T) {
	if testing.Short() {
		t.Skip("installs a package from npm; run without -short")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s, which is not here", program)
		}
	}
	checkTokensOf(t, exec.Command("node", filepath.Join(installed(t), "tokens.mjs")))
}

// installed is a folder of the user's cache that has the interop folder's script, and
// the packages that it needs.
func installed(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	for _, name := range []string{"package.json", "tokens.mjs"} {
		content, err := os.ReadFile(filepath.Join("interop", name))
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(content)
	}
	dir := filepath.Join(cache, "caddy-ollama", "jose-"+hex.EncodeToString(sum.Sum(nil)[:6]))
	if _, err := os.Stat(filepath.Join(dir, "tokens.mjs")); err == nil {
		return dir
	}
	// made elsewhere and moved, so that two who do it at once do not meet
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "jose-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	if err := os.CopyFS(fresh, os.DirFS("interop")); err != nil {
		t.Fatal(err)
	}
	install := exec.Command("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = fresh
	if output, err := install.CombinedOutput(); err != nil {
		t.Skipf("needs a package from npm, which cannot be installed: %v\n%s", err, output)
	}
	if err := os.Rename(fresh, dir); err != nil && !os.IsExist(err) {
		if _, there := os.Stat(filepath.Join(dir, "tokens.mjs")); there != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// checkTokensOf runs a program that signs with keys of every algorithm, and checks that
// each token is accepted with its key and refused with no other of that algorithm.
func checkTokensOf(t *testing.T, program *exec.Cmd) {
	t.Helper()
	private := make(map[string]string)
	keys := make(map[string]key.Set)
	for _, algorithm := range key.Algorithms {
		private[algorithm], keys[algorithm] = fresh(t, algorithm)
	}
	now := time.Now()
	asked, err := json.Marshal(map[string]any{
		"claims": token.Claims{"sub": "clawdbot", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "aud": []string{"gateway"}},
		"keys":   private,
	})
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	program.Stdin, program.Stderr = bytes.NewReader(asked), &stderr
	answer, err := program.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var tokens map[string]string
	if err := json.Unmarshal(answer, &tokens); err != nil || len(tokens) != len(key.Algorithms) {
		t.Fatalf("%v: %s", err, answer)
	}
	for algorithm, compact := range tokens {
		t.Run(algorithm, func(t *testing.T) {
			v := token.Verifier{Keys: keys[algorithm], MaxLifetime: 5 * time.Minute, Audience: "gateway"}
			if claims, err := v.Verify(t.Context(), compact, now); err != nil || claims.Subject() != "clawdbot" {
				t.Errorf("refused: %v", err)
			}
			_, v.Keys = fresh(t, algorithm)
			if _, err := v.Verify(t.Context(), compact, now); err != token.BadSignature {
				t.Errorf("with another key: %v", err)
			}
		})
	}
}

// fresh makes a key of an algorithm: the private part as programs take it, and ours.
func fresh(t *testing.T, algorithm string) (private string, set key.Set) {
	t.Helper()
	var signer crypto.Signer
	var err error
	switch algorithm {
	case "HS256", "HS384", "HS512":
		secret := rand.Text() + rand.Text() + rand.Text()
		k, err := key.Secret([]byte(secret), algorithm)
		if err != nil {
			t.Fatal(err)
		}
		return secret, key.Set{k}
	case "ES256":
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		signer, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	set, err = key.ParsePEM(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), set
}
