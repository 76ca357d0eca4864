package jwtauth

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "jwt",
		Usage: "<command>",
		Short: "Makes tokens for clients of jwt_auth",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(issueCommand())
		},
	})
}

func issueCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issue --secret-file <file> --sub <subject> [--ttl <duration>]",
		Short: "Prints a token signed with a secret",
		Long: `
Prints a JSON Web Token, signed with HS256, that jwt_auth accepts if it has the
same secret. Nothing else goes to standard output:

	curl -H "Authorization: Bearer $(caddy jwt issue --secret-file jwt.key --sub clawdbot)" ...`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().String("secret-file", "", "File with the secret (a newline at its end is not part of it)")
	cmd.Flags().String("sub", "", "Subject: who the token is for")
	cmd.Flags().Duration("ttl", 5*time.Minute, "How long the token lives")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(fs caddycmd.Flags) (int, error) {
		text, err := issue(fs.String("secret-file"), fs.String("sub"), fs.Duration("ttl"), time.Now())
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		fmt.Println(text)
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

func issue(secretFile, subject string, ttl time.Duration, now time.Time) (string, error) {
	if secretFile == "" {
		return "", errors.New("--secret-file is missing: name the file that jwt_auth reads its secret from")
	}
	if subject == "" {
		return "", errors.New("--sub is missing: say who the token is for")
	}
	if ttl < time.Second {
		return "", fmt.Errorf("--ttl %s: a token must live for a second at least", ttl)
	}
	secret, err := ReadSecret(secretFile)
	if err != nil {
		return "", err
	}
	k, err := key.Secret(secret, "HS256")
	if err != nil {
		return "", fmt.Errorf("the secret in %s: %w", secretFile, err)
	}
	return token.Issue(k, token.Claims{"sub": subject, "iat": now.Unix(), "exp": now.Add(ttl).Unix()})
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
