package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// host is the gateways' name in their certificate.
const host = "localhost"

// jwtSecret signs the tokens of the rig.
const jwtSecret = "secret-of-the-measuring-rig-of-48-bytes-01234567"

// credentials are those of a run: made for it, and worth nothing after it.
type credentials struct {
	client *tls.Config
}

// newCredentials writes what the gateways read into dir, and keeps what a client needs.
func newCredentials(dir string) (*credentials, error) {
	ca, err := newCertificate(nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "CA of the measuring rig"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	if err != nil {
		return nil, err
	}
	server, err := newCertificate(ca, &x509.Certificate{
		Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return nil, err
	}
	client, err := newCertificate(ca, &x509.Certificate{
		Subject:  pkix.Name{CommonName: "bench"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"ca.crt":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Leaf.Raw}),
		"gw.crt":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Leaf.Raw}),
		"gw.key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"jwt.key": []byte(jwtSecret),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	return &credentials{client: &tls.Config{RootCAs: roots, ServerName: host, Certificates: []tls.Certificate{*client}}}, nil
}

// newCertificate is signed by the CA, or by itself if that is nil.
func newCertificate(ca *tls.Certificate, template *x509.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// newTokens are n tokens that differ, from each other and from all before, and are good
// for the next five minutes.
func newTokens(n int) ([]string, error) {
	tokens := make([]string, n)
	now := time.Now()
	for i := range tokens {
		var err error
		tokens[i], err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"sub": "bench", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(),
		}).SignedString([]byte(jwtSecret))
		if err != nil {
			return nil, err
		}
	}
	return tokens, nil
}
