// Package ollamadoctor provides the `caddy ollama-doctor` command: what is wrong with
// a gateway, and what to do about it.
package ollamadoctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "ollama-doctor",
		Usage: "{--config <file> | --url <url> | --ollama <url>} [...]",
		Short: "Says what is wrong between a client, its gateway and Ollama, and what to do",
		Long: `
Examines, step by step, an Ollama and the gateway in front of it, and says of each
fault what its likely cause is and what to do about it.

On the gateway's host, name its Caddyfile (or JSON) with --config: addresses, model, CA
and audit log are taken from there, and a token is made with the secret that jwt_auth
reads. On a client's host, name that of the sidecar, or the gateway with --url. Either
way the client certificate comes from --cert and --key, if the configuration has none.

The model is asked for a few tokens; --no-request leaves that out. One request without
a token is sent, which ip_throttle counts as an error of this address.

The exit code is 0 if nothing has failed, 1 if something has, and 2 if nobody could be
examined because an argument or a file is wrong. No secret and no token is printed.`,
		CobraFunc: func(cmd *cobra.Command) {
			var o options
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				return ending(cmd, cobra.NoArgs(cmd, args))
			}
			flags := cmd.Flags()
			flags.StringVarP(&o.config, "config", "c", "", "Caddyfile, or its JSON, of the gateway or of a sidecar")
			flags.StringVar(&o.url, "url", "", "The gateway, such as https://ai-gw.example.com:18789")
			flags.StringVar(&o.connect, "connect", "", "Address and port to connect to, instead of those of the URL or the configuration")
			flags.StringVar(&o.from, "from", "", "Address of this host to come from")
			flags.StringVar(&o.ca, "cacert", "", "File with the CA of the gateway's certificate (default the system's, and the CA of the configuration)")
			flags.StringVar(&o.cert, "cert", "", "File with the client certificate")
			flags.StringVar(&o.key, "key", "", "File with its key")
			flags.StringVar(&o.token, "token", "", "Token; other users of this host see it, so better:")
			flags.StringVar(&o.tokenFile, "token-file", "", "File with the token; - is standard input")
			flags.StringVar(&o.ollama, "ollama", "", "Ollama (default where the configuration has it, or http://127.0.0.1:11434 if the gateway is on this host)")
			flags.StringVar(&o.model, "model", "", "Model to ask for (default the gateway's default_model)")
			flags.BoolVar(&o.noRequest, "no-request", false, "Do not ask the model anything")
			flags.BoolVar(&o.asJSON, "json", false, "Print JSON instead of a table")
			cmd.SetFlagErrorFunc(ending)
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return ending(cmd, o.run(cmd)) }
		},
	})
}

// options are those of the command.
type options struct {
	config, url, connect, from string
	ca, cert, key              string
	token, tokenFile           string
	ollama, model              string
	noRequest, asJSON          bool
}

// Exit codes.
const (
	exitFailed     = 1 // a step has failed
	exitNoPatients = 2 // an argument or a file is wrong
)

// failedSteps is the error that ends the command with exitFailed. All others end it
// with exitNoPatients: a script must not take them for a finding.
type failedSteps int

func (n failedSteps) Error() string {
	if n == 1 {
		return "one step has failed"
	}
	return fmt.Sprintf("%d steps have failed", int(n))
}

// ending is how the command ends after an error: with its exit code.
func ending(cmd *cobra.Command, err error) error {
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		if err == nil {
			return caddy.ExitCodeSuccess, nil
		}
		if _, ok := errors.AsType[failedSteps](err); ok {
			return exitFailed, err
		}
		return exitNoPatients, err
	})(cmd, nil)
}

func (o options) run(cmd *cobra.Command) error {
	patient, err := o.patient(cmd.InOrStdin())
	if err != nil {
		return err
	}
	stdout := cmd.OutOrStdout()
	if patient.Asks() {
		fmt.Fprintln(cmd.ErrOrStderr(), "note: this asks the model for a few tokens; --no-request leaves that out")
	}
	tell := newTable(stdout).row
	if o.asJSON {
		tell = func(checkup.Step) {}
	}
	taken := checkup.Examine(context.Background(), patient, tell)
	if o.asJSON {
		if err := writeJSON(stdout, patient, taken); err != nil {
			return err
		}
	}
	failures := failedSteps(0)
	for _, step := range taken {
		if step.Status == checkup.Failed {
			failures++
		}
	}
	if failures > 0 {
		return failures
	}
	return nil
}

// parseURL reads the URL of a gateway.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, fmt.Errorf("--url %q: give https, a name and a port, such as https://ai-gw.example.com:18789", text)
	}
	return u, nil
}
