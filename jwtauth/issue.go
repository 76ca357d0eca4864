package jwtauth

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// issueOptions are those of `caddy jwt issue`.
type issueOptions struct {
	secretFile, privateKeyFile, algorithm, keyID string
	subject, issuer, id, certificate             string
	audience, claims                             []string
	ttl                                          time.Duration
	execProvider                                 bool
}

func issueCommand() *cobra.Command {
	var o issueOptions
	cmd := &cobra.Command{
		Use:   "issue {--secret-file <file> | --private-key-file <file>} --sub <subject> [...]",
		Short: "Prints a token",
		Long: `
Prints a JSON Web Token that jwt_auth accepts if it has the same secret, or the
public key. Nothing else goes to standard output:

	curl -H "Authorization: Bearer $(caddy jwt issue --secret-file jwt.key --sub clawdbot)" ...

A token that no jwt_auth would let pass, whatever its keys and options, is not printed.
One that lives longer than 5 minutes is, with a note: it needs a longer max_lifetime.

With --exec-provider it is a secret provider that OpenClaw runs (source "exec"): it
reads OpenClaw's request from standard input and answers with a token for each id.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.secretFile, "secret-file", "", "File with the secret (a newline at its end is not part of it)")
	flags.StringVar(&o.privateKeyFile, "private-key-file", "", "File with the private key, in PEM form")
	flags.StringVar(&o.algorithm, "alg", "", "Algorithm (default HS256 for a secret; RS256, that of the curve or EdDSA for a private key)")
	flags.StringVar(&o.keyID, "kid", "", "Key ID, for the token's header")
	flags.StringVar(&o.subject, "sub", "", "Subject: who the token is for")
	flags.StringVar(&o.issuer, "iss", "", "Issuer")
	flags.StringArrayVar(&o.audience, "aud", nil, "Audience; repeat for several")
	flags.DurationVar(&o.ttl, "ttl", 5*time.Minute, "How long the token lives")
	flags.StringVar(&o.id, "jti", "", "Token ID (default random)")
	flags.StringArrayVar(&o.claims, "claim", nil, "One more claim, as name=value with a value in JSON, or else a string; repeat for several")
	flags.StringVar(&o.certificate, "cert", "", "File with the client certificate, in PEM form, to bind the token to")
	flags.BoolVar(&o.execProvider, "exec-provider", false, "Speak OpenClaw's protocol for secret providers on standard input and output")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		if err := o.print(); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		if note := noteOn(o.ttl); note != "" {
			fmt.Fprintln(os.Stderr, note)
		}
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

// noteOn is what to know of a token that lives so long; empty if there is nothing.
func noteOn(ttl time.Duration) string {
	if ttl <= 5*time.Minute {
		return ""
	}
	return fmt.Sprintf("note: only a jwt_auth with `max_lifetime %s` or more lets this token pass; the default is 5m", ttl)
}

// print writes a token to standard output, alone or as OpenClaw wants it.
func (o issueOptions) print() error {
	if o.execProvider {
		return serveExec(os.Stdin, os.Stdout, func() (string, error) { return issue(o, time.Now()) })
	}
	compact, err := issue(o, time.Now())
	if err != nil {
		return err
	}
	fmt.Println(compact)
	return nil
}

// issue makes the token that is asked for.
func issue(o issueOptions, now time.Time) (string, error) {
	if o.subject == "" {
		return "", errors.New("--sub is missing: say who the token is for")
	}
	if o.ttl < time.Second {
		return "", fmt.Errorf("--ttl %s: a token must live for a second at least", o.ttl)
	}
	if o.ttl > time.Duration(maxLifetime) {
		return "", fmt.Errorf("--ttl %s: no jwt_auth lets a token pass that lives longer than 24h", o.ttl)
	}
	says, err := o.statement()
	if err != nil {
		return "", err
	}
	k, err := o.key()
	if err != nil {
		return "", err
	}
	k.ID = o.keyID
	compact, err := token.Issue(k, says.claims(now, o.ttl))
	if err != nil {
		return "", err
	}
	if err := acceptable(k, compact, now, o.ttl); err != nil {
		return "", err
	}
	return compact, nil
}

// statement is what the token shall say.
func (o issueOptions) statement() (s statement, err error) {
	s = statement{subject: o.subject, issuer: o.issuer, audience: o.audience, id: o.id}
	for _, claim := range o.claims {
		name, text, found := strings.Cut(claim, "=")
		if !found || name == "" {
			return s, errors.New("--claim must have the form name=value")
		}
		value, err := claimValue(text)
		if err != nil {
			return s, fmt.Errorf("--claim %s: %w", name, err)
		}
		if err := s.add(name, value); err != nil {
			return s, err
		}
	}
	if o.certificate != "" {
		s.certificate, err = readCertificate(o.certificate)
	}
	return s, err
}

// key is what the token is signed with.
func (o issueOptions) key() (*key.Key, error) {
	switch {
	case o.secretFile != "" && o.privateKeyFile != "":
		return nil, errTwoKeys
	case o.secretFile != "":
		return secretKey(o.secretFile, algorithmNamed(o.algorithm))
	case o.privateKeyFile == "":
		return nil, errors.New("no key: name the file that jwt_auth reads its secret from with --secret-file, or that of a private key with --private-key-file")
	}
	pem, err := os.ReadFile(o.privateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the private key: %w", err)
	}
	k, err := key.ParsePrivatePEM(pem, algorithmNamed(o.algorithm))
	if err != nil {
		return nil, fmt.Errorf("the private key in %s: %w", o.privateKeyFile, err)
	}
	return k, nil
}
