// Package ollamagateway provides the `caddy ollama-gateway` command: the whole
// gateway with one command and no configuration.
package ollamagateway

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/jwtauth"
	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "ollama-gateway",
		Usage: "[--listen <addr>] [--ollama <url>] [--model <name>] [--state-dir <dir>] [--print-config]",
		Short: "A guarded way to Ollama for OpenAI clients, ready to use",
		Long: `
Serves OpenAI's API on https://localhost:18789 in front of an Ollama, with
everything on: TLS, client certificates, address allow-list, throttle, short-lived
tokens, audit log.

What that needs it makes itself, once, in the state folder: an internal CA, a
server and a client certificate, and a secret for tokens. Then it prints a curl
line that works when pasted.

Without --ollama it uses the Ollama at 127.0.0.1:11434 if one answers, and says
so and answers from a built-in demo model if none does.

--print-config shows the Caddyfile that it runs, for you to take it from there.
`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			cmd.Flags().String("listen", ":18789", "Address to serve on")
			cmd.Flags().String("ollama", "", "Address of Ollama (default http://127.0.0.1:11434, if one answers there)")
			cmd.Flags().String("model", "", "Model for requests that name none (default the first that Ollama has)")
			cmd.Flags().String("state-dir", "", "Folder for certificates, secret and audit log (default in Caddy's data folder)")
			cmd.Flags().Bool("print-config", false, "Print the Caddyfile and exit")
			cmd.RunE = caddycmd.WrapCommandFuncForCobra(run)
		},
	})
}

func run(fs caddycmd.Flags) (int, error) {
	setup, err := prepare(fs)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	caddyfile, err := setup.caddyfile()
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if fs.Bool("print-config") {
		fmt.Print(caddyfile)
		return caddy.ExitCodeSuccess, nil
	}

	caddy.TrapSignals()
	if setup.Upstream.Demo {
		if setup.Upstream.Address, err = serveDemo(); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		if caddyfile, err = setup.caddyfile(); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
	}
	if err := checkFree(setup.Host, setup.Port); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	if err := start(caddyfile); err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("starting on %s: %w", setup.Listen, err)
	}
	secret, err := jwtauth.ReadSecret(setup.Files.Secret)
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	k, err := key.Secret(secret, "HS256")
	if err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("the secret in %s: %w", setup.Files.Secret, err)
	}
	now := time.Now()
	fresh, err := token.Issue(k, token.Claims{"sub": "demo", "iat": now.Unix(), "exp": now.Add(tokenLifetime).Unix()})
	if err != nil {
		return caddy.ExitCodeFailedStartup, fmt.Errorf("making a token: %w", err)
	}
	fmt.Print(setup.welcome(fresh))
	select {}
}

// tokenLifetime is the longest that the gateway accepts.
const tokenLifetime = 5 * time.Minute

// setup is what the gateway runs with.
type setup struct {
	Listen   string // as given: host:port or :port
	Host     string // the host to bind to; empty: all
	Port     string
	StateDir string
	Model    string
	Upstream upstream
	Files    files
}

// prepare turns the flags into a setup: it makes the credentials that are
// missing and looks for Ollama.
func prepare(fs caddycmd.Flags) (*setup, error) {
	s := &setup{Listen: fs.String("listen"), StateDir: fs.String("state-dir"), Model: fs.String("model")}
	var err error
	if s.Host, s.Port, err = splitListen(s.Listen); err != nil {
		return nil, err
	}
	if s.StateDir == "" {
		s.StateDir = filepath.Join(caddy.AppDataDir(), "ollama-gateway")
	}
	if s.StateDir, err = filepath.Abs(s.StateDir); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := s.check(); err != nil { // before anything is written
		return nil, err
	}
	if s.Files, err = ensureFiles(s.StateDir, serverNames(s.Host), time.Now()); err != nil {
		return nil, err
	}
	if s.Upstream, err = findUpstream(fs.String("ollama")); err != nil {
		return nil, err
	}
	if s.Model == "" {
		s.Model = s.Upstream.FirstModel
	}
	return s, nil
}

// checkFree fails if somebody listens there already. Caddy itself would share the
// port (SO_REUSEPORT), and two gateways would each get half of the connections.
func checkFree(host, port string) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return fmt.Errorf("listening: %w; is a gateway running already? choose another address with --listen", err)
	}
	return listener.Close()
}

// start runs Caddy with a Caddyfile.
func start(caddyfile string) error {
	adapter := caddyconfig.GetAdapter("caddyfile")
	config, _, err := adapter.Adapt([]byte(caddyfile), map[string]any{"filename": "ollama-gateway"})
	if err != nil {
		return err
	}
	var cfg caddy.Config
	if err := json.Unmarshal(config, &cfg); err != nil {
		return err
	}
	return caddy.Run(&cfg)
}
