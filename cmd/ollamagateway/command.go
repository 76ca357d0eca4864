// Package ollamagateway provides the `caddy ollama-gateway` command: the whole
// gateway with one command and no configuration.
package ollamagateway

import (
	"context"
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

--print-config prints the Caddyfile that it runs, for you to take it from there. The
demo model is not in it, which is this command's alone: where no Ollama answers, a
comment says what to put in.
`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			cmd.Flags().String("listen", ":18789", "Address to serve on")
			cmd.Flags().String("ollama", "", "Address of Ollama (default http://127.0.0.1:11434, if one answers there)")
			cmd.Flags().String("model", "", "Model for requests that name none (default the first of Ollama's that can answer a chat)")
			cmd.Flags().String("state-dir", "", "Folder for certificates, secret, blocks and audit log (default in Caddy's data folder)")
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
	if fs.Bool("print-config") {
		caddyfile, err := setup.caddyfile()
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		fmt.Print(caddyfile)
		return caddy.ExitCodeSuccess, nil
	}
	if err := setup.serve(); err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	select {}
}

// serve starts the gateway and says how to use it.
func (s *setup) serve() error {
	signer, err := s.signer()
	if err != nil {
		return err
	}
	if err := s.checkAlone(); err != nil {
		return err
	}
	if err := checkFree(s.Host, s.Port); err != nil {
		return err
	}
	caddy.TrapSignals()
	if s.Upstream.Demo {
		s.Model = demoModel
		if s.Upstream.Address, err = serveDemo(); err != nil {
			return err
		}
	}
	caddyfile, err := s.caddyfile()
	if err != nil {
		return err
	}
	if err := start(caddyfile); err != nil {
		return fmt.Errorf("starting on %s (--listen) with the state folder %s (--state-dir): %w", s.Listen, s.StateDir, err)
	}
	now := time.Now()
	fresh, err := token.Issue(signer, token.Claims{"sub": "demo", "iat": now.Unix(), "exp": now.Add(tokenLifetime).Unix()})
	if err != nil {
		return fmt.Errorf("making a token: %w", err)
	}
	fmt.Print(s.welcome(fresh, s.comesFrom()))
	return nil
}

// signer is the key of tokens. If the secret is no good, its file is named here, before
// Caddy would name a line of a Caddyfile that nobody has seen.
func (s *setup) signer() (*key.Key, error) {
	secret, err := jwtauth.ReadSecret(s.Files.Secret)
	if err != nil {
		return nil, err
	}
	k, err := key.Secret(secret, "HS256")
	if err != nil {
		return nil, fmt.Errorf("the secret in %s: %w; or delete the file, and a secret is made", s.Files.Secret, err)
	}
	return k, nil
}

// tokenLifetime is the longest that the gateway accepts.
const tokenLifetime = 5 * time.Minute

// setup is what the gateway runs with.
type setup struct {
	Listen   string // as given: host:port or :port
	Host     string // the host to bind to; empty: all
	Port     string
	StateDir string
	Model    string // for requests that name none; empty: there is none
	Lack     string // why it will not answer, or there is none, as far as is known
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
	if s.Upstream.Version != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Model, s.Lack = chooseModel(ctx, s.Upstream.Address, s.Model)
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
