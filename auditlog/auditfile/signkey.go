package auditfile

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// signKey reads the private key that signs the head, or makes it. Without a file's name
// there is none.
func signKey(name string) (ed25519.PrivateKey, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := makeSignKey(name)
		return key, howToMake(name, err)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s holds no private key in PEM: `caddy jwt keygen --type ed25519 --out <file>` makes one", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of another type: it must be Ed25519", name)
	}
	return key, nil
}

// howToMake says what to do about a key that is missing and could not be made.
func howToMake(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %s is missing: make it, and the key is made in it at the next start", filepath.Dir(name))
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is missing, though %[1]s.pub is there: put the key back, or, if it is lost, put that aside, and a new one is made at the next start", name)
	}
	return fmt.Errorf("%s is missing and cannot be made here (%w): make it with `caddy jwt keygen --type ed25519 --out %[1]s`, readable by the gateway's user", name, err)
}

// makeSignKey makes the key, and its public part for whoever verifies.
func makeSignKey(name string) (ed25519.PrivateKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	// the private one last: whoever finds it finds both
	if err := writeNew(name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER}), 0o644); err != nil {
		return nil, err
	}
	return private, writeNew(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}), 0o600)
}

// writeNew writes a file that must not be there.
func writeNew(name string, content []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
