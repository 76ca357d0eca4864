package ollamagateway

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/gateway18789/caddy-ollama/auditlog"
	_ "github.com/gateway18789/caddy-ollama/auditlog/ecs"
	_ "github.com/gateway18789/caddy-ollama/jwtauth"
	_ "github.com/gateway18789/caddy-ollama/ollamaadapter"
	_ "github.com/gateway18789/caddy-ollama/ratelimit"
	_ "github.com/gateway18789/caddy-ollama/ratelimit/awaitrequests"
)

func testSetup() *setup {
	return &setup{
		Listen: ":18789", Port: "18789", StateDir: "/state", Model: "qwen3:0.6b",
		Upstream: upstream{Address: "127.0.0.1:11434", Version: "0.17.4"},
		Files:    files{CACert: "/state/ca.crt", ServerCert: "/state/server.crt", ServerKey: "/state/server.key", Secret: "/state/jwt.key"},
	}
}

// adapt returns the handlers of a Caddyfile's one site, in their order and with
// their options, and its error handlers.
func adapt(t *testing.T, caddyfile string) (handlers []map[string]any, errorHandlers string) {
	t.Helper()
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v\n%s", err, warnings, caddyfile)
	}
	type route struct{ Handle []json.RawMessage }
	var parsed struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []route
					Errors json.RawMessage
				}
			}
		}
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		t.Fatal(err)
	}
	var walk func(routes []route)
	walk = func(routes []route) {
		for _, r := range routes {
			for _, raw := range r.Handle {
				var sub struct{ Routes []route }
				var handler map[string]any
				if json.Unmarshal(raw, &sub) == nil && sub.Routes != nil {
					walk(sub.Routes)
				} else if err := json.Unmarshal(raw, &handler); err != nil {
					t.Fatal(err)
				} else {
					handlers = append(handlers, handler)
				}
			}
		}
	}
	for _, server := range parsed.Apps.HTTP.Servers {
		walk(server.Routes)
		errorHandlers = string(server.Errors)
	}
	return handlers, errorHandlers
}

func TestOneCommandRunsWhatTheExampleShows(t *testing.T) {
	ours, err := testSetup().caddyfile()
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../caddyfile-examples/gateway.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	got, gotErrors := adapt(t, ours)
	want, wantErrors := adapt(t, string(example))
	if len(got) != len(want) || len(want) < 6 || !strings.Contains(gotErrors, "openai_error") || !strings.Contains(wantErrors, "openai_error") {
		t.Fatalf("handlers differ:\n%v\n%v", got, want)
	}
	for i := range want {
		// what depends on the machine, and what is a matter of the model
		for _, option := range []string{"secret", "source", "default_model", "defaults"} {
			delete(got[i], option)
			delete(want[i], option)
		}
		gotJSON, _ := json.Marshal(got[i])
		wantJSON, _ := json.Marshal(want[i])
		if string(gotJSON) != string(wantJSON) {
			t.Errorf("handler %d is %s, in the example %s", i, gotJSON, wantJSON)
		}
	}
}

func TestCaddyfileRefusesWhatWouldBreakItsQuotes(t *testing.T) {
	cases := map[string]func(*setup){
		"a quote in the model's name":        func(s *setup) { s.Model = `x" }` },
		"a placeholder in the model's name":  func(s *setup) { s.Model = "{env.HOME}" },
		"a line break in the state folder":   func(s *setup) { s.StateDir = "/a\nadmin :2019" },
		"a brace in the state folder's path": func(s *setup) { s.StateDir = "/a{b" },
		"a bar, which ends a socket's path":  func(s *setup) { s.StateDir = "/a|b" },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			s := testSetup()
			spoil(s)
			if caddyfile, err := s.caddyfile(); err == nil {
				t.Errorf("accepted:\n%s", caddyfile)
			}
		})
	}
}

// The state folder is all that there is of a gateway: its blocks are there too, and its
// admin API, which lifts them and which only its owner reaches.
func TestCaddyfileKeepsToTheStateFolder(t *testing.T) {
	long := "/" + strings.Repeat("x", 120)
	cases := []struct{ name, stateDir, admin string }{
		{"a folder", "/state", "unix//state/admin.sock|0600"},
		{"a folder with a space", "/my state", "unix//my state/admin.sock|0600"},
		{"a folder with too long a path for a socket has no admin API", long, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := testSetup()
			s.StateDir = c.stateDir
			caddyfile, err := s.caddyfile()
			if err != nil {
				t.Fatal(err)
			}
			config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, caddyfile)
			}
			var got struct {
				Admin struct {
					Listen   string
					Disabled bool
				}
				Storage struct{ Module, Root string }
			}
			if err := json.Unmarshal(config, &got); err != nil {
				t.Fatal(err)
			}
			if got.Admin.Listen != c.admin || got.Admin.Disabled != (c.admin == "") ||
				got.Storage.Module != "file_system" || got.Storage.Root != c.stateDir+"/storage" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestCaddyfileSaysWhatToPutRight(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(*setup)
		says  string // empty: nothing
	}{
		{"all is well", func(*setup) {}, ""},
		{"no Ollama answered", func(s *setup) { s.Upstream.Version = ""; s.Model = "" }, "# No Ollama answered at 127.0.0.1:11434"},
		{"there is no model", func(s *setup) { s.Model, s.Lack = "", "Ollama has no model" }, "# The default model when this was written: none: Ollama has no model."},
		{"the model is not there", func(s *setup) { s.Lack = "Ollama does not have it" }, "qwen3:0.6b: Ollama does not have it."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := testSetup()
			c.spoil(s)
			caddyfile, err := s.caddyfile()
			if err != nil {
				t.Fatal(err)
			}
			adapt(t, caddyfile)
			if c.says == "" && strings.Contains(caddyfile, "when this was written") || !strings.Contains(caddyfile, c.says) {
				t.Errorf("does not say %q:\n%s", c.says, caddyfile)
			}
		})
	}
}

func TestSplitListen(t *testing.T) {
	cases := []struct {
		name, listen, host, port string
		ok                       bool
	}{
		{"a port alone means all addresses", ":18789", "", "18789", true},
		{"an address and a port", "127.0.0.1:18789", "127.0.0.1", "18789", true},
		{"an IPv6 address", "[::1]:18789", "::1", "18789", true},
		{"no port is refused", "127.0.0.1", "", "", false},
		{"an empty port is refused", "127.0.0.1:", "", "", false},
		{"a port out of range is refused", ":99999", "", "", false},
		{"port 0, which nobody could be told of, is refused", ":0", "", "", false},
		{"a port by its name is refused", ":https", "", "", false},
		{"what would break the Caddyfile is refused", "a {\n:1", "", "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			host, port, err := splitListen(c.listen)
			if (err == nil) != c.ok || c.ok && (host != c.host || port != c.port) {
				t.Errorf("splitListen(%q) = %q, %q, %v", c.listen, host, port, err)
			}
		})
	}
}
