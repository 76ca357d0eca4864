package key

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/jwtauth/strictjson"
)

// ParsePEM reads the public keys of a file in PEM: public keys, or a certificate, of
// which only the key counts. The file may be a JWK or a JWK Set as well. Without an
// algorithm a key is for the one that its JWK names, RS256, that of the curve, or EdDSA.
func ParsePEM(data []byte, algorithm string) ([]*Key, error) {
	if trimmed := bytes.TrimSpace(data); bytes.HasPrefix(trimmed, []byte("{")) {
		return parseJSON(trimmed, algorithm)
	}
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	var keys []*Key
	certificates := 0
	for _, block := range blocks {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return nil, errors.New("there is a private key in it, which signs tokens; only its public half belongs here: `openssl pkey -in private.pem -pubout`")
		}
		if block.Type == "CERTIFICATE" {
			certificates++
		}
		public, err := publicOf(block)
		if err != nil {
			return nil, err
		}
		k, err := Public(public, algorithm)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	// of a chain, the keys of the authorities sign certificates and no tokens
	if certificates > 1 {
		return nil, errors.New("there are several certificates in it; put each whose key signs tokens into its own file, and those of its authority into none")
	}
	if err := checkUnnamed(keys); err != nil {
		return nil, err
	}
	return keys, nil
}

// decodePEM takes a file apart. A block that is damaged is an error, not a key fewer.
func decodePEM(data []byte) (blocks []*pem.Block, err error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	begun := bytes.Count(data, []byte("-----BEGIN "))
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
	}
	switch {
	case begun == 0:
		return nil, errors.New("it is not in PEM: no line of it is -----BEGIN …")
	case len(blocks) != begun:
		return nil, fmt.Errorf("%d of its %d blocks in PEM are damaged", begun-len(blocks), begun)
	}
	return blocks, nil
}

// publicOf is the public key in a block.
func publicOf(block *pem.Block) (public crypto.PublicKey, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		public, err = certified(block.Bytes)
	default:
		return nil, fmt.Errorf("its block %q is none of PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("its block %s: %w", block.Type, err)
	}
	return public, nil
}

// certified is the key of a certificate that is for signatures, as far as it says.
func certified(der []byte) (crypto.PublicKey, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	const signs = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if certificate.KeyUsage != 0 && certificate.KeyUsage&signs == 0 {
		return nil, errors.New("its key usage is without digital signature")
	}
	return certificate.PublicKey, nil
}

// parseJSON reads a file with a JWK Set or one JWK. Of a set, keys may be left out, but
// not all of them.
func parseJSON(data []byte, algorithm string) ([]*Key, error) {
	values, err := decodeSet(data)
	if err != nil && isJWK(data) {
		values, err = []jsontext.Value{data}, nil
	}
	if err != nil {
		return nil, err
	}
	keys, leftOut, err := parseJWKs(values, algorithm)
	switch {
	case err != nil:
		return nil, err
	case len(keys) == 0:
		return nil, errors.Join(append(leftOut, errors.New("there is no key in it that tokens are signed with"))...)
	}
	return keys, nil
}

// isJWK reports whether it is one JWK.
func isJWK(data []byte) bool {
	var j jwk
	return checkSize(data) == nil && strictjson.Unmarshal(data, &j) == nil && j.Type != ""
}

// ParsePrivatePEM reads the one private key of a file in PEM: PKCS #8, PKCS #1 or SEC 1.
// Its errors say nothing of the key.
func ParsePrivatePEM(data []byte, algorithm string) (*Key, error) {
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	var private *pem.Block
	for _, block := range blocks {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue // the parameters of a curve, or the certificate of the key
		}
		if private != nil {
			return nil, errors.New("there are several private keys in it; put the one that signs into its own file")
		}
		private = block
	}
	if private == nil {
		return nil, errors.New("there is no private key in it")
	}
	signer, err := privateOf(private)
	if err != nil {
		return nil, err
	}
	return Private(signer, algorithm)
}

// privateOf is the private key in a block.
func privateOf(block *pem.Block) (crypto.Signer, error) {
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		err = errors.ErrUnsupported
	}
	signer, ok := private.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("its block %q cannot be read; it must be an RSA, ECDSA or Ed25519 key, not encrypted: `openssl pkey -in private.pem` makes it one", block.Type)
	}
	return signer, nil
}
