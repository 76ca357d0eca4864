package jwtauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// keygenOptions are those of `caddy jwt keygen`.
type keygenOptions struct {
	kind, out, jwks string
	force           bool
}

func keygenCommand() *cobra.Command {
	var o keygenOptions
	cmd := &cobra.Command{
		Use:   "keygen --type <type> --out <file> [--jwks <file>] [--force]",
		Short: "Makes a secret or a key pair",
		Long: `
Makes a secret (hs256, hs384, hs512) or a private key (rsa, es256, es384, es512,
ed25519) that only its owner can read. The public key is written to the same name with
.pub behind it, for jwt_auth's public_key; as a JWK Set, for other programs, it is
printed, or written to a file. What is there already is not overwritten.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.kind, "type", "", "hs256, hs384, hs512, rsa, es256, es384, es512 or ed25519")
	flags.StringVar(&o.out, "out", "", "File for the secret or private key")
	flags.StringVar(&o.jwks, "jwks", "", "File for the JWK Set, instead of printing it")
	flags.BoolVar(&o.force, "force", false, "Overwrite files that are there already")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
			if err := keygen(cmd.OutOrStdout(), o); err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			return caddy.ExitCodeSuccess, nil
		})(cmd, args)
	}
	return cmd
}

// secretSizes are how many random bytes a secret has: as many as its hash (RFC 7518
// section 3.2).
var secretSizes = map[string]int{"hs256": 32, "hs384": 48, "hs512": 64}

// rsaBits is what NIST SP 800-57 wants for keys that are used beyond 2030.
const rsaBits = 3072

// keyFile is a file that keygen writes.
type keyFile struct {
	name    string
	content []byte
	mode    fs.FileMode
}

// keygen makes a key and writes its files.
func keygen(stdout io.Writer, o keygenOptions) error {
	o.kind = strings.ToLower(o.kind) // as algorithms, too, are named in any case
	if o.out == "" {
		return errors.New("--out is missing: name the file for the key")
	}
	if size := secretSizes[o.kind]; size > 0 {
		if o.jwks != "" {
			return errors.New("--jwks: a secret is for nobody else to read; only key pairs have a JWK Set")
		}
		secret := make([]byte, size)
		_, _ = rand.Read(secret) // it never fails
		text := base64.RawURLEncoding.EncodeToString(secret) + "\n"
		return writeKeyFiles(o.force, keyFile{o.out, []byte(text), 0o600})
	}
	private, err := generate(o.kind)
	if err != nil {
		return err
	}
	files, jwks, err := pairFiles(o.out, private)
	if err != nil {
		return err
	}
	if o.jwks != "" {
		files = append(files, keyFile{o.jwks, jwks, 0o644})
	}
	if path := filepath.Clean(o.jwks); path == filepath.Clean(o.out) || path == filepath.Clean(o.out+".pub") {
		return errors.New("--jwks must be another file than those of the keys")
	}
	if err := writeKeyFiles(o.force, files...); err != nil {
		return err
	}
	if o.jwks == "" {
		_, err = stdout.Write(jwks)
	}
	return err
}

// generate makes a private key.
func generate(kind string) (crypto.Signer, error) {
	switch kind {
	case "rsa":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case "es256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "es384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "es512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("--type %q: it must be hs256, hs384, hs512, rsa, es256, es384, es512 or ed25519", kind)
}

// pairFiles are the files of a key pair, and its public key as a JWK Set.
func pairFiles(out string, private crypto.Signer) (files []keyFile, jwks []byte, err error) {
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	publicDER, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, nil, err
	}
	k, err := key.Public(private.Public(), "")
	if err != nil {
		return nil, nil, err
	}
	k.ID = k.Thumbprint()
	if jwks, err = key.MarshalJWKS([]*key.Key{k}); err != nil {
		return nil, nil, err
	}
	return []keyFile{
		{out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}), 0o600},
		{out + ".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER}), 0o644},
	}, append(jwks, '\n'), nil
}

// writeKeyFiles writes all of the files, or none if one of them is there already and
// must stay.
func writeKeyFiles(force bool, files ...keyFile) error {
	if !force {
		for _, file := range files {
			if _, err := os.Lstat(file.name); err == nil {
				return fmt.Errorf("%s is there already; --force overwrites it", file.name)
			}
		}
	}
	for _, file := range files {
		if err := file.write(); err != nil {
			return err
		}
	}
	return nil
}

// write puts the file in place whole: a gateway that runs never reads half a key.
func (f keyFile) write() error {
	temporary, err := os.CreateTemp(filepath.Dir(f.name), ".keygen-*") // only its owner can read it
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.name, err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(f.content)
	if err == nil {
		err = temporary.Chmod(f.mode)
	}
	if err == nil {
		err = temporary.Sync()
	}
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), f.name)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.name, err)
	}
	return nil
}
