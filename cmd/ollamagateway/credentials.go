package ollamagateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// files are the paths of the credentials in the state folder.
type files struct {
	CACert, CAKey         string
	ServerCert, ServerKey string
	ClientCert, ClientKey string
	Secret                string
}

// Lives of certificates. A leaf is made anew when it has less than a month left.
const (
	caLife    = 10 * 365 * 24 * time.Hour
	leafLife  = 365 * 24 * time.Hour
	renewLeft = 30 * 24 * time.Hour
)

// ensureFiles makes what is missing in the state folder: an internal CA, a
// certificate for the server under the given names, one for a client, and a
// secret for tokens. What is there already stays, so that clients keep working.
func ensureFiles(dir string, names []string, now time.Time) (files, error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	f := files{
		CACert: in("ca.crt"), CAKey: in("ca.key"),
		ServerCert: in("server.crt"), ServerKey: in("server.key"),
		ClientCert: in("client.crt"), ClientKey: in("client.key"),
		Secret: in("jwt.key"),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, fmt.Errorf("making the state folder: %w", err)
	}
	ca, err := ensureCA(f.CACert, f.CAKey, now)
	if err != nil {
		return f, err
	}
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "caddy-ollama gateway"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, name)
		}
	}
	if err := ensureLeaf(f.ServerCert, f.ServerKey, server, names, ca, now); err != nil {
		return f, err
	}
	client := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "caddy-ollama client"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if err := ensureLeaf(f.ClientCert, f.ClientKey, client, nil, ca, now); err != nil {
		return f, err
	}
	return f, ensureSecret(f.Secret)
}

// ensureCA loads the internal CA, or makes one if there is none.
func ensureCA(certFile, keyFile string, now time.Time) (*tls.Certificate, error) {
	hasCert, hasKey := exists(certFile), exists(keyFile)
	if hasCert && hasKey {
		ca, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("loading the internal CA: %w; to start anew, delete the folder %s (every client then needs a new certificate)", err, filepath.Dir(certFile))
		}
		if now.After(ca.Leaf.NotAfter) {
			return nil, fmt.Errorf("the internal CA %s ended on %s; delete the folder %s to make a new one", certFile, ca.Leaf.NotAfter.Format(time.DateOnly), filepath.Dir(certFile))
		}
		return &ca, nil
	}
	if hasCert != hasKey {
		return nil, fmt.Errorf("only one of %s and %s is there: bring the other back, or delete both to make a new CA (every client then needs a new certificate)", certFile, keyFile)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "caddy-ollama internal CA"},
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return issue(certFile, keyFile, template, nil, now)
}

// ensureLeaf keeps a certificate that the CA signed, that still lives for a while
// and has all the names, and replaces any other.
func ensureLeaf(certFile, keyFile string, template *x509.Certificate, names []string, ca *tls.Certificate, now time.Time) error {
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil {
		lacksName := func(name string) bool { return pair.Leaf.VerifyHostname(name) != nil }
		if pair.Leaf.CheckSignatureFrom(ca.Leaf) == nil && pair.Leaf.NotAfter.Sub(now) > renewLeft &&
			!slices.ContainsFunc(names, lacksName) {
			return nil
		}
	}
	template.NotAfter = now.Add(leafLife)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	_, err := issue(certFile, keyFile, template, ca, now)
	return err
}

// issue makes a key and a certificate for it, signed by ca or, if that is nil, by itself.
func issue(certFile, keyFile string, template *x509.Certificate, ca *tls.Certificate, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, err
	}
	template.NotBefore = now.Add(-time.Hour) // for clients whose clocks are behind
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", certFile, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writePrivate(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})); err != nil {
		return nil, err
	}
	if err := writePrivate(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	return &pair, err
}

// ensureSecret makes the secret for tokens: 256 random bits.
func ensureSecret(file string) error {
	if exists(file) {
		return nil
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return writePrivate(file, []byte(base64.RawURLEncoding.EncodeToString(secret)))
}

// writePrivate writes a file that only its owner can read, whole or not at all.
func writePrivate(file string, data []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(file), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	defer os.Remove(temporary.Name()) // does nothing once renamed
	_, err = temporary.Write(data)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// serverNames are the names under which clients may reach this machine: its own
// and its addresses. Only what it has now: on a new address the certificate is
// made anew at the next start.
func serverNames(host string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if hostname, err := os.Hostname(); err == nil {
		add(hostname)
	}
	addresses, _ := net.InterfaceAddrs() // none: then by name only
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			add(network.IP.String())
		}
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		add(host)
	}
	return names
}
