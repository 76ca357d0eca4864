package key

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// SEAM, until h5 is merged.
func ParsePrivatePEM(data []byte, algorithm string) (*Key, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("no PKCS8")
	}
	return Private(k.(crypto.Signer), algorithm)
}

func ParsePEM(data []byte, algorithm string) ([]*Key, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("no PKIX")
	}
	pub, err := Public(k, algorithm)
	return []*Key{pub}, err
}

func MarshalJWKS(keys []*Key) ([]byte, error) { return []byte(`{"keys":[]}`), nil }
