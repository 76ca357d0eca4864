package jwtauth

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// `caddy jwt issue` knows its algorithms by either case, too.
func TestKeygenTakesTypesInAnyCase(t *testing.T) {
	for _, kind := range []string{"HS512", "Hs256", "ES256", "Ed25519", "RSA"} {
		if err := keygen(io.Discard, keygenOptions{kind: kind, out: filepath.Join(t.TempDir(), "jwt.key")}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func checkMode(t *testing.T, file string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want && runtime.GOOS != "windows" {
		t.Errorf("%s has mode %o, want %o", filepath.Base(file), got, want)
	}
}

func TestKeygenMakesSecretsOfTheirHashsLength(t *testing.T) {
	for kind, least := range map[string]int{"hs256": 43, "hs384": 64, "hs512": 86} {
		file := filepath.Join(t.TempDir(), "jwt.key")
		var stdout bytes.Buffer
		if err := keygen(&stdout, keygenOptions{kind: kind, out: file}); err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		secret, err := ReadSecret(file)
		if err != nil || len(secret) != least {
			t.Errorf("%s: the secret has %d characters, want %d (%v)", kind, len(secret), least, err)
		}
		checkMode(t, file, 0o600)
		if stdout.Len() > 0 {
			t.Errorf("%s: it prints %q", kind, stdout.String())
		}
		if _, err := issue(issueOptions{secretFile: file, algorithm: strings.ToUpper(kind), subject: "x", ttl: time.Minute}, now); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		other := filepath.Join(t.TempDir(), "jwt.key")
		if err := keygen(io.Discard, keygenOptions{kind: kind, out: other}); err != nil {
			t.Fatal(err)
		}
		if again, _ := ReadSecret(other); bytes.Equal(again, secret) {
			t.Errorf("%s: two secrets are the same", kind)
		}
	}
}

// A token of the private key is let in by the public one, by way of PEM and of the
// JWK Set.
func TestKeygenMakesPairsThatFit(t *testing.T) {
	for kind, algorithm := range map[string]string{"rsa": "RS256", "es256": "ES256", "es384": "ES384", "es512": "ES512", "ed25519": "EdDSA"} {
		t.Run(kind, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "jwt.pem")
			var stdout bytes.Buffer
			if err := keygen(&stdout, keygenOptions{kind: kind, out: file}); err != nil {
				t.Fatal(err)
			}
			checkMode(t, file, 0o600)
			checkMode(t, file+".pub", 0o644)
			compact, err := issue(issueOptions{privateKeyFile: file, subject: "clawdbot", ttl: time.Minute}, now)
			if err != nil {
				t.Fatal(err)
			}
			pem, err := os.ReadFile(file + ".pub")
			if err != nil {
				t.Fatal(err)
			}
			for form, data := range map[string][]byte{"PEM": pem, "JWK Set": stdout.Bytes()} {
				keys, err := key.ParsePEM(data, "")
				if form == "JWK Set" {
					keys, _, err = key.ParseJWKS(data, "")
				}
				if err != nil || len(keys) != 1 || keys[0].Algorithm != algorithm {
					t.Fatalf("%s: keys are %v (%v), want one for %s", form, keys, err, algorithm)
				}
				if form == "JWK Set" && keys[0].ID != keys[0].Thumbprint() {
					t.Errorf("the kid is %q", keys[0].ID)
				}
				verifier := token.Verifier{Keys: key.Set(keys), MaxLifetime: time.Minute}
				if _, err := verifier.Verify(t.Context(), compact, now); err != nil {
					t.Errorf("%s: %v", form, err)
				}
			}
			for _, secretWord := range []string{"PRIVATE", `"d":`} {
				if strings.Contains(stdout.String()+string(pem), secretWord) {
					t.Errorf("the public key has %s", secretWord)
				}
			}
		})
	}
}

func TestKeygenWritesTheJWKSet(t *testing.T) {
	dir := t.TempDir()
	var stdout bytes.Buffer
	o := keygenOptions{kind: "ed25519", out: filepath.Join(dir, "jwt.pem"), jwks: filepath.Join(dir, "jwks.json")}
	if err := keygen(&stdout, o); err != nil {
		t.Fatal(err)
	}
	checkMode(t, o.jwks, 0o644)
	data, err := os.ReadFile(o.jwks)
	if err != nil || !strings.Contains(string(data), `"keys": [`) || stdout.Len() > 0 {
		t.Errorf("the file has %s (%v), and %q is printed", data, err, stdout.String())
	}
}

func TestKeygenOverwritesOnlyByForce(t *testing.T) {
	dir := t.TempDir()
	o := keygenOptions{kind: "es256", out: filepath.Join(dir, "jwt.pem"), jwks: filepath.Join(dir, "jwks.json")}
	for _, name := range []string{"jwt.pem", "jwt.pem.pub", "jwks.json"} {
		file := filepath.Join(dir, name)
		overwrite(t, file, "old")
		if err := keygen(io.Discard, o); err == nil || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: error %v", name, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("%s: there are %v", name, entries)
		}
		if content, _ := os.ReadFile(file); string(content) != "old" {
			t.Errorf("%s was overwritten", name)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}

	for _, name := range []string{"jwt.pem", "jwt.pem.pub", "jwks.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	o.force = true
	if err := keygen(io.Discard, o); err != nil {
		t.Fatal(err)
	}
	checkMode(t, o.out, 0o600) // though the old one could be read by all
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("there are %v, want the three files", entries)
	}
	for _, entry := range entries {
		if content, _ := os.ReadFile(filepath.Join(dir, entry.Name())); string(content) == "old" {
			t.Errorf("%s was not overwritten", entry.Name())
		}
	}
}

func TestKeygenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "jwt.key")
	for _, test := range []struct {
		name    string
		options keygenOptions
		want    string
	}{
		{"no type", keygenOptions{out: file}, "--type"},
		{"an unknown type", keygenOptions{kind: "hs1", out: file}, `"hs1"`},
		{"no file", keygenOptions{kind: "hs256"}, "--out"},
		{"a JWK Set of a secret", keygenOptions{kind: "hs256", out: file, jwks: file + ".json"}, "--jwks"},
		{"a JWK Set over the private key", keygenOptions{kind: "es256", out: file, jwks: dir + "/./jwt.key", force: true}, "--jwks"},
		{"a JWK Set over the public key", keygenOptions{kind: "es256", out: file, jwks: file + ".pub", force: true}, "--jwks"},
		{"a folder that is not there", keygenOptions{kind: "hs256", out: filepath.Join(dir, "no", "jwt.key")}, "jwt.key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := keygen(io.Discard, test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want it to say %q", err, test.want)
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Errorf("it leaves %v", entries)
			}
		})
	}
}

func TestKeygenLeavesNothingWhereItFails(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "jwt.key")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := keygen(io.Discard, keygenOptions{kind: "hs256", out: folder, force: true}); err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("error %v, want it to name %s", err, folder)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("there are %v, want the folder alone", entries)
	}
}

func TestKeygenCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jwt.pem")
	var stdout bytes.Buffer
	cmd := keygenCommand()
	cmd.SetArgs([]string{"--type", "ed25519", "--out", file})
	cmd.SetOut(&stdout)
	if err := cmd.Execute(); err != nil || !strings.Contains(stdout.String(), `"keys": [`) {
		t.Errorf("it prints %q (%v)", stdout.String(), err)
	}
	for _, args := range [][]string{{}, {"--type", "ed25519", "--out", file}, {"ed25519"}} {
		cmd := keygenCommand()
		cmd.SetArgs(args)
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.Execute(); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
