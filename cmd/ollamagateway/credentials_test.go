package ollamagateway

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEnsureFilesMakesAChainThatVerifies(t *testing.T) {
	now := time.Now()
	f, err := ensureFiles(filepath.Join(t.TempDir(), "state"), []string{"localhost", "127.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read(t, f.CACert))
	server, client := load(t, f.ServerCert, f.ServerKey), load(t, f.ClientCert, f.ClientKey)
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := server.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("server certificate for %s: %v", name, err)
		}
	}
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := client.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usage}); err != nil {
		t.Errorf("client certificate: %v", err)
	}
	if _, err := server.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usage}); err == nil {
		t.Error("the server's certificate passes for a client's")
	}
}

func TestEnsureFilesKeepsWhatIsGoodAndReplacesWhatIsNot(t *testing.T) {
	now := time.Now()
	names := []string{"localhost"}
	cases := []struct {
		name      string
		spoil     func(t *testing.T, f files)
		names     []string
		at        time.Time
		newServer bool
		newClient bool
	}{
		{name: "all good: nothing changes", at: now},
		{name: "another name: a new server certificate", names: []string{"localhost", "gw.lan"}, at: now, newServer: true},
		{name: "near the end of its life: new certificates", at: now.Add(leafLife - renewLeft + time.Hour), newServer: true, newClient: true},
		{name: "a key is gone: a new client certificate", at: now, newClient: true,
			spoil: func(t *testing.T, f files) { remove(t, f.ClientKey) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			f, err := ensureFiles(dir, names, now)
			if err != nil {
				t.Fatal(err)
			}
			ca, server, client, secret := read(t, f.CACert), read(t, f.ServerCert), read(t, f.ClientCert), read(t, f.Secret)
			if c.spoil != nil {
				c.spoil(t, f)
			}
			if c.names == nil {
				c.names = names
			}
			if _, err := ensureFiles(dir, c.names, c.at); err != nil {
				t.Fatal(err)
			}
			if string(ca) != string(read(t, f.CACert)) || string(secret) != string(read(t, f.Secret)) {
				t.Error("the CA or the secret has changed")
			}
			if changed := string(server) != string(read(t, f.ServerCert)); changed != c.newServer {
				t.Errorf("new server certificate: %t, want %t", changed, c.newServer)
			}
			if changed := string(client) != string(read(t, f.ClientCert)); changed != c.newClient {
				t.Errorf("new client certificate: %t, want %t", changed, c.newClient)
			}
		})
	}
}

func TestEnsureFilesNeverReplacesACAByItself(t *testing.T) {
	now := time.Now()
	cases := []struct {
		name  string
		spoil func(t *testing.T, f files)
		at    time.Time
		says  string
	}{
		{"its key is gone", func(t *testing.T, f files) { remove(t, f.CAKey) }, now, "bring the other back"},
		{"its certificate is garbage", func(t *testing.T, f files) { write(t, f.CACert, "garbage") }, now, "delete the folder"},
		{"it has ended", func(*testing.T, files) {}, now.Add(caLife + time.Hour), "delete the folder"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			f, err := ensureFiles(dir, []string{"localhost"}, now)
			if err != nil {
				t.Fatal(err)
			}
			c.spoil(t, f)
			if _, err := ensureFiles(dir, []string{"localhost"}, c.at); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, want one that says %q", err, c.says)
			}
		})
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, certFile, keyFile string) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
