package jwtauth

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "jwt",
		Usage: "<command>",
		Short: "Makes and explains tokens for jwt_auth, and keys for them",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(issueCommand(), inspectCommand(), keygenCommand())
		},
	})
}

// ReadSecret reads a secret as Caddy's {file.*} placeholder does: one newline at
// the end of the file is not part of it.
func ReadSecret(file string) ([]byte, error) {
	secret, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the secret: %w", err)
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(secret, []byte("\n")), []byte("\r")), nil
}

// algorithmNamed is the algorithm of an option --alg, in which case does not matter.
func algorithmNamed(name string) string {
	for _, algorithm := range append([]string{"Ed25519"}, key.Algorithms...) {
		if strings.EqualFold(name, algorithm) {
			return algorithm
		}
	}
	return name
}

// secretKey makes a key of the secret in a file, for HS256 if nothing else is said.
func secretKey(file, algorithm string) (*key.Key, error) {
	if algorithm == "" {
		algorithm = "HS256"
	}
	secret, err := ReadSecret(file)
	if err != nil {
		return nil, err
	}
	k, err := key.Secret(secret, algorithm)
	if err != nil {
		return nil, fmt.Errorf("the secret in %s: %w", file, err)
	}
	return k, nil
}

// errTwoKeys is for who names two keys where there can be one.
var errTwoKeys = errors.New("give one key, not two")
