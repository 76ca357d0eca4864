package jwtauth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// inspectOptions are those of `caddy jwt inspect`.
type inspectOptions struct {
	config                               string
	secretFile, publicKeyFile, algorithm string
	issuer, audience                     string
	maxLifetime, leeway                  time.Duration
	certificate                          string
}

func inspectCommand() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect [<token>|-] {--config <file> | --secret-file <file> | --public-key-file <file>} [...]",
		Short: "Explains a token, and why it would be refused",
		Long: `
Explains a JSON Web Token: header, claims and times, and whether jwt_auth would let
it pass now. The token comes from standard input, where no other user sees it,
unless it is given.

With --config, each jwt_auth of that Caddyfile (or JSON) is asked, with its keys and
all of its options; with --cert, as if the client showed that certificate. With a key,
one that has this key and the options given here is.

The exit code is 0 if the token would pass now (with --config: one of them), else 1.
Neither its signature nor a secret is printed.`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.config, "config", "", "Caddyfile, or its JSON, with jwt_auth")
	flags.StringVar(&o.secretFile, "secret-file", "", "File with the secret")
	flags.StringVar(&o.publicKeyFile, "public-key-file", "", "File with public keys or certificates in PEM form, or a JWK Set")
	flags.StringVar(&o.algorithm, "alg", "", "Algorithm of the key")
	flags.StringVar(&o.issuer, "issuer", "", "The iss that the token must have")
	flags.StringVar(&o.audience, "audience", "", "The aud that the token must have")
	flags.DurationVar(&o.maxLifetime, "max-lifetime", 5*time.Minute, "The longest life of a token")
	flags.DurationVar(&o.leeway, "leeway", 0, "How far clocks may differ")
	flags.StringVar(&o.certificate, "cert", "", "File with the client certificate, in PEM form, that comes with the token")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
			compact, err := tokenArgument(args, cmd.InOrStdin())
			if err == nil {
				err = inspect(cmd.OutOrStdout(), o, compact, time.Now())
			}
			if err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			return caddy.ExitCodeSuccess, nil
		})(cmd, args)
	}
	return cmd
}

// tokenArgument is the token: the argument, or what comes on standard input.
func tokenArgument(args []string, stdin io.Reader) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	text, err := io.ReadAll(io.LimitReader(stdin, 1<<20))
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// judge says whether a token would pass: nil, or why not.
type judge struct {
	name   string
	verify func(compact string, now time.Time) error
}

// inspect explains a token. It returns nil if the token would pass.
func inspect(w io.Writer, o inspectOptions, compact string, now time.Time) error {
	explain(w, compact, now)
	judges, end, err := o.judges()
	defer end()
	if err != nil {
		return err
	}
	passes := false
	for _, j := range judges {
		err := j.verify(compact, now)
		passes = passes || err == nil
		if err != nil {
			fmt.Fprintf(w, "%s: refused, %s\n", j.name, inWords(reasonOf(err), o.certificate != ""))
		} else {
			fmt.Fprintf(w, "%s: it would pass\n", j.name)
		}
	}
	if !passes {
		return errors.New("the token would be refused")
	}
	return nil
}

// judges are those that the options ask for; end must be called when they are not
// needed any more.
func (o inspectOptions) judges() (judges []judge, end func(), err error) {
	end = func() {}
	var certificate *x509.Certificate
	if o.certificate != "" {
		if certificate, err = readCertificate(o.certificate); err != nil {
			return nil, end, err
		}
	}
	given := 0
	for _, option := range []string{o.config, o.secretFile, o.publicKeyFile} {
		if option != "" {
			given++
		}
	}
	switch {
	case given == 0:
		return nil, end, errors.New("nobody to ask whether it would pass: give --config, --secret-file or --public-key-file")
	case given > 1:
		return nil, end, errors.New("give one of --config, --secret-file and --public-key-file")
	case o.config != "":
		return judgesOf(o.config, certificate)
	}
	keys, err := o.keys()
	if err != nil {
		return nil, end, err
	}
	v := token.Verifier{Keys: keys, MaxLifetime: o.maxLifetime, Leeway: o.leeway, Issuer: o.issuer, Audience: o.audience}
	return []judge{{"with this key", func(compact string, now time.Time) error {
		claims, err := v.Verify(context.Background(), compact, now)
		if err != nil {
			return err
		}
		if fault := claims.CheckBinding(token.BindingOptional, certificate); fault != "" {
			return fault
		}
		return nil
	}}}, end, nil
}

// keys are the keys of the file that the options name.
func (o inspectOptions) keys() (key.Set, error) {
	if o.secretFile != "" {
		k, err := secretKey(o.secretFile, algorithmNamed(o.algorithm))
		return key.Set{k}, err
	}
	data, err := os.ReadFile(o.publicKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
	}
	keys, err := key.ParsePEM(data, algorithmNamed(o.algorithm))
	if err != nil {
		return nil, fmt.Errorf("the public key in %s: %w", o.publicKeyFile, err)
	}
	return keys, nil
}
