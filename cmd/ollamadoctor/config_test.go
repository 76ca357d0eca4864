package ollamadoctor

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/gateway18789/caddy-ollama/auditlog"
	_ "github.com/gateway18789/caddy-ollama/auditlog/console"
	_ "github.com/gateway18789/caddy-ollama/auditlog/ecs"
	_ "github.com/gateway18789/caddy-ollama/ratelimit"
	_ "github.com/gateway18789/caddy-ollama/ratelimit/awaitrequests"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
)

func read(t *testing.T, caddyfile string) (config, site, bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	s, sidecar, err := c.site("")
	if err != nil {
		t.Fatal(err)
	}
	return c, s, sidecar
}

func TestTheExampleIsUnderstood(t *testing.T) {
	example, err := os.ReadFile("../../caddyfile-examples/gateway.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	c, s, sidecar := read(t, string(example))
	facts, adapter, err := c.configured(s)
	if err != nil {
		t.Fatal(err)
	}
	asked, model, numCtx := modelOf(adapter, "")
	if sidecar || s.address() != "127.0.0.1:18789" || asked != "qwen3:32b" || model != "qwen3:32b" || numCtx != 32768 {
		t.Errorf("sidecar %t, at %s, model %s (%s), num_ctx %d", sidecar, s.address(), asked, model, numCtx)
	}
	want := &checkup.Configured{
		Upstreams: []string{"127.0.0.1:11434"}, Admin: "unix//run/caddy-ollama/admin.sock", AllowList: true, Rate: true,
		MaxLifetime: 5 * time.Minute, Audit: true, AuditFile: "/var/log/caddy-ollama/audit.log", AuditOutput: "audit_file",
	}
	if !reflect.DeepEqual(facts, want) {
		t.Errorf("got %+v, want %+v", facts, want)
	}
	if cas := s.clientCAs(); len(cas) != 1 || cas[0] != "/etc/caddy-ollama/internal-ca.crt" {
		t.Errorf("client CAs %v", cas)
	}
}

// Behind the first of three hosts is no Ollama to look at, but another gateway.
func TestAnEngineIsNotTakenForAnOllama(t *testing.T) {
	file := "../../caddyfile-examples/gateway-node.Caddyfile"
	for _, test := range []struct{ name, ollama, address string }{
		{"by the configuration", "", ""},
		{"an Ollama that is named is looked at all the same", "http://127.0.0.1:11434", "127.0.0.1:11434"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &checkup.Patient{}
			o := options{config: file, ollama: test.ollama}
			if _, err := o.fromConfig(p, new(tlsFiles)); err != nil {
				t.Fatal(err)
			}
			if err := o.addOllamas(p); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(p.OllamaAddresses(), " "); got != test.address {
				t.Errorf("looks for Ollama at %q", got)
			}
			if c := p.Configured; !c.Engine || !c.Secured || len(c.Upstreams) != 1 || c.Upstreams[0] != "10.0.1.2:18790" {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestAllOllamasOfTheConfigurationAreLookedAtUnlessOneIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Caddyfile")
	caddyfile := "http://localhost:18789 {\nollama_adapter\nreverse_proxy 10.0.2.2:11434 unix//run/ollama.sock {env.NOBODY_KNOWS}:11434\n}"
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ ollama, want string }{
		{"", "10.0.2.2:11434 unix//run/ollama.sock"},
		{"http://10.0.2.3", "10.0.2.3:11434"},
	} {
		p, err := options{config: file, ollama: test.ollama}.patient(strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.OllamaAddresses(), " "); got != test.want {
			t.Errorf("with --ollama %q it looks at %s, want %s", test.ollama, got, test.want)
		}
	}
}

func TestASidecarIsUnderstood(t *testing.T) {
	example, err := os.ReadFile("../../caddyfile-examples/sidecar.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	_, s, sidecar := read(t, string(example))
	if got := s.upstreams(); !sidecar || len(got) != 1 || got[0] != "ai-gw.example.com:18789" {
		t.Errorf("sidecar %t to %v", sidecar, got)
	}
	tls := s.transport().Transport.TLS
	if tls.Certificate != "/etc/caddy-ollama/client.crt" || tls.Key != "/etc/caddy-ollama/client.key" || tls.ServerName != "ai-gw.example.com" {
		t.Errorf("TLS %+v", tls)
	}
}

func TestModelAndContext(t *testing.T) {
	for _, test := range []struct {
		name, adapter, named string
		asked, model         string
		numCtx               int64
	}{
		{"the default model", "default_model a\ndefaults {\nnum_ctx 8192\n}", "", "a", "a", 8192},
		{"the one that is named", "default_model a\ndefaults {\nnum_ctx 8192\n}", "b", "b", "b", 8192},
		{"one with rules of its own", "default_model a\ndefaults {\nnum_ctx 8192\n}\nmodel a* {\ndefaults {\nnum_ctx 4096\n}\n}", "", "a", "a", 4096},
		{"an alias", "default_model gpt-4o\nalias gpt-4o qwen3:32b\nmodel qwen3:* {\ndefaults {\nnum_ctx 1024\n}\n}", "", "gpt-4o", "qwen3:32b", 1024},
		{"no num_ctx", "default_model a", "", "a", "a", 0},
		{"no model", "", "", "", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, s, _ := read(t, "http://localhost:18789 {\nollama_adapter {\n"+test.adapter+"\n}\nreverse_proxy 127.0.0.1:11434\n}\n")
			_, adapter, err := c.configured(s)
			if err != nil {
				t.Fatal(err)
			}
			asked, model, numCtx := modelOf(adapter, test.named)
			if asked != test.asked || model != test.model || numCtx != test.numCtx {
				t.Errorf("got %q, %q, %d", asked, model, numCtx)
			}
		})
	}
}

func TestTheGatewayIsFoundAmongOthers(t *testing.T) {
	c, s, _ := read(t, `{
	log {
		output file /var/log/default.log
	}
	log before {
		output file /var/log/before.log
		exclude http.handlers
	}
}
http://localhost:80 {
	reverse_proxy 10.0.0.1:80
}
http://localhost:18790 {
	bind 10.1.2.3
	route {
		audit_log
		reverse_proxy /before 10.0.0.2:80
		ollama_adapter
		reverse_proxy unix//run/ollama.sock
	}
}`)
	facts, _, err := c.configured(s)
	if err != nil {
		t.Fatal(err)
	}
	if s.address() != "10.1.2.3:18790" || c.nameOf(s) != "localhost" || strings.Join(facts.Upstreams, " ") != "unix//run/ollama.sock" {
		t.Errorf("at %s, name %s, upstreams %v", s.address(), c.nameOf(s), facts.Upstreams)
	}
	if facts.AllowList || facts.Rate || facts.AuditFile != "/var/log/default.log" {
		t.Errorf("got %+v", facts)
	}
	if _, _, err := c.site("18790"); err != nil {
		t.Error(err)
	}
	if _, _, err := c.site("80"); err == nil || !strings.Contains(err.Error(), "on port 80") {
		t.Errorf("on a port without one: %v", err)
	}
}

// The console has a jwt_auth of its own, which no client passes.
func TestAConsoleIsNotTakenForTheGateway(t *testing.T) {
	const console = `route {
		audit_log
		@data path /events /cancel /unblock
		jwt_auth @data {
			secret {env.CONSOLE_KEY}
			max_lifetime 1m
			require scope gateway-console
		}
		gateway_console
	}`
	const gateway = `route {
		audit_log
		jwt_auth {
			secret {env.GATEWAY_KEY}
			max_lifetime 3m
		}
		reverse_proxy 10.0.1.2:18790
	}`
	for _, test := range []struct{ name, caddyfile string }{
		{"in the gateway's own site", "http://localhost:18789 {\nredir /console /console/\nhandle_path /console/* {\n" + console + "\n}\n" + gateway + "\n}"},
		{"on a site of its own", "http://localhost:18700 {\n" + console + "\n}\nhttp://localhost:18789 {\n" + gateway + "\n}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, s, _ := read(t, test.caddyfile)
			facts, _, err := c.configured(s)
			if err != nil {
				t.Fatal(err)
			}
			if s.address() != "127.0.0.1:18789" || facts.MaxLifetime != 3*time.Minute || !facts.Audit {
				t.Errorf("at %s, %+v", s.address(), facts)
			}
			if minter, err := s.minter(""); err != nil || minter.Secret.Value != "{env.GATEWAY_KEY}" {
				t.Errorf("tokens are made with %q, %v", minter.Secret.Value, err)
			}
		})
	}
}

// A socket that the gateway is given has no port that anybody could read.
func TestASocketHasNoAddress(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte("http://localhost:18789 {\nbind fd/3\nollama_adapter\nreverse_proxy 127.0.0.1:11434\n}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		o    options
		want string
	}{
		{"the usual one is taken", options{config: file}, "127.0.0.1:18789"},
		{"the one that is named", options{config: file, connect: "127.0.0.1:28789"}, "127.0.0.1:28789"},
		{"that of the URL", options{config: file, url: "https://gw.example.com:38789"}, "gw.example.com:38789"},
	} {
		p, err := test.o.patient(strings.NewReader(""))
		if err != nil || p.GatewayAddress != test.want {
			t.Errorf("%s: got %+v, %v", test.name, p, err)
		}
	}
}

func TestTokensThatTheDoctorMakes(t *testing.T) {
	t.Setenv("SECRET", "k3Jx9QmZr7Lw2Vb8Tn5Yc1Hf6Gd4Sp0AeUiO")
	for _, test := range []struct{ name, auth, fails string }{
		{"plain", "secret {env.SECRET}", ""},
		{"with issuer and audience", "secret {env.SECRET}\nissuer a\naudience b\nmax_lifetime 1m", ""},
		{"one that only an issuer can make", "secret {env.SECRET}\nrequire scope chat", "only the one who issues"},
		{"one with a private key", "jwks https://idp.example.com/keys", "only public keys"},
		{"with a secret that is not there", "secret {env.NO_SUCH_SECRET}", "NO_SUCH_SECRET"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, s, _ := read(t, "http://localhost:18789 {\njwt_auth {\n"+test.auth+"\n}\nollama_adapter\nreverse_proxy 127.0.0.1:11434\n}")
			token, err := s.mint("")
			if test.fails == "" && (err != nil || strings.Count(token, ".") != 2) {
				t.Errorf("got %d bytes, %v", len(token), err)
			}
			if test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)) {
				t.Errorf("got %v", err)
			}
		})
	}
}
