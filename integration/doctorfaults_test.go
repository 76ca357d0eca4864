package integration

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestTheDoctorFindsWhatIsWrong(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each of 40 gateways that end
	for _, test := range []struct {
		name   string
		models []ollamatest.Model            // default: hello
		sick   func(t *testing.T, c *clinic) // before the gateway starts
		infect func(t *testing.T, c *clinic) // while it runs
		step   string                        // that tells
		status string                        // default: failed
		says   []string                      // in its words
		skips  []string                      // steps that are not taken for it
	}{
		{name: "Ollama is not running",
			sick: func(t *testing.T, c *clinic) {
				c.change("reverse_proxy "+dialled(c), "reverse_proxy "+"127.0.0.1:"+freePort(t))
			},
			step:  "ollama",
			says:  []string{"nothing listens", "not running", "systemctl start ollama"},
			skips: []string{"model", "loaded", "context", "adapter"}},
		{name: "one of several Ollamas is not running",
			sick: func(t *testing.T, c *clinic) {
				c.change("reverse_proxy "+dialled(c), "reverse_proxy "+dialled(c)+" 127.0.0.1:"+freePort(t)+" {\n lb_policy first\n}")
			},
			step: "ollama", says: []string{"nothing listens at 127.0.0.1:", "unless others take them over"}},
		{name: "one of several Ollamas lacks the model",
			sick: func(t *testing.T, c *clinic) { besides(c, ollamaWith(t, loadedAtOnce("other", 4096)).Address()) },
			step: "model", status: "warning", says: []string{"hello is not there; there are other", "ollama pull hello"}},
		{name: "one of several Ollamas is of another version",
			sick: func(t *testing.T, c *clinic) {
				old := ollamatest.NewHandler(loadedAtOnce("hello", 4096))
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/api/version" {
						w.Write([]byte(`{"version":"0.16.0"}`))
						return
					}
					old.ServeHTTP(w, r)
				}))
				t.Cleanup(server.Close)
				besides(c, server.Listener.Addr().String())
			},
			step: "same version", status: "warning", says: []string{"0.16.0 at 127.0.0.1:", "0.17.4 at 127.0.0.1:", "Update Ollama"}},
		{name: "another program has Ollama's port",
			sick: func(t *testing.T, c *clinic) {
				other := httptest.NewServer(http.NotFoundHandler())
				t.Cleanup(other.Close)
				c.change("reverse_proxy "+dialled(c), "reverse_proxy "+other.Listener.Addr().String())
			},
			step: "ollama", says: []string{"not Ollama", "ss -ltnp"}, skips: []string{"model"}},
		{name: "the model is not there",
			models: []ollamatest.Model{loadedAtOnce("other", 4096)},
			step:   "model", says: []string{"hello is not there; there are other", "ollama pull hello"}, skips: []string{"loaded", "context", "adapter"}},
		{name: "there is no model at all",
			models: []ollamatest.Model{},
			step:   "model", says: []string{"no model", "ollama pull hello", "OLLAMA_MODELS"}},
		{name: "the context is longer than the model was made for",
			models: []ollamatest.Model{loadedAtOnce("hello", 1024)},
			step:   "context", says: []string{"num_ctx is 2048", "made for 1024", "Set num_ctx to 1024"}},
		{name: "num_ctx is left to chance",
			sick: func(t *testing.T, c *clinic) { c.change("num_ctx 2048", "") },
			step: "context", status: "warning", says: []string{"num_ctx is not set", "defaults { num_ctx"}},
		{name: "Ollama is open to the network",
			sick: func(t *testing.T, c *clinic) {
				listener, err := net.Listen("tcp4", "0.0.0.0:0")
				if err != nil {
					t.Fatal(err)
				}
				server := &http.Server{Handler: ollamatest.NewHandler(loadedAtOnce("hello", 4096))}
				go server.Serve(listener)
				t.Cleanup(func() { server.Close() })
				_, port, _ := net.SplitHostPort(listener.Addr().String())
				c.change("reverse_proxy "+dialled(c), "reverse_proxy "+"127.0.0.1:"+port)
			},
			step: "exposure", says: []string{"open to the network at 0.0.0.0:", "OLLAMA_HOST=127.0.0.1:"}},
		{name: "Ollama is across the internet",
			sick: func(t *testing.T, c *clinic) { elsewhere(c, "192.0.2.7:11434") },
			step: "exposure", says: []string{"192.0.2.7:11434", "a public address", "on that host"}},
		{name: "Ollama is across a private network",
			sick: func(t *testing.T, c *clinic) { elsewhere(c, "10.99.99.99:11434 10.99.99.98:11434") },
			step: "exposure", status: "warning", says: []string{"10.99.99.99:11434, 10.99.99.98:11434", "across the network", "cannot be seen from here", "a firewall"}},
		{name: "Ollama is on an outer address of this host",
			sick: func(t *testing.T, c *clinic) { elsewhere(c, net.JoinHostPort(outerAddress(t), "11434")) },
			step: "exposure", says: []string{"an address of this host", "OLLAMA_HOST"}},
		{name: "the admin API is open to the network",
			sick: func(t *testing.T, c *clinic) { c.change("unix/"+c.file("admin.sock"), "0.0.0.0:"+freePort(t)) },
			step: "exposure", says: []string{"admin API", "unix//run"}},
		{name: "the gateway is not running",
			infect: func(t *testing.T, c *clinic) { c.stop() },
			step:   "gateway", says: []string{"nothing listens", "not running", "systemctl status"},
			skips: []string{"server certificate", "redirect", "token", "adapter", "audit"}},
		{name: "the server's certificate has another name",
			sick: func(t *testing.T, c *clinic) {
				c.serve(c.ca.leaf(t, "x", "other.example.com"))
				c.args = append(c.args, "--url", c.url(""))
			},
			step: "server certificate", says: []string{"not for " + host + " but for other.example.com", "Use a name of the certificate"},
			skips: []string{"client certificate", "token"}},
		{name: "the server's certificate is of another CA",
			sick: func(t *testing.T, c *clinic) { c.serve(newAuthority(t, "evil CA").leaf(t, host, host)) },
			step: "server certificate", says: []string{"not trusted", "evil CA", "--cacert"}, skips: []string{"token"}},
		{name: "the server's certificate has ended",
			sick: func(t *testing.T, c *clinic) {
				c.serve(c.ca.leafWithin(t, time.Now().Add(-72*time.Hour), time.Now().Add(-49*time.Hour), host))
			},
			step: "server certificate", says: []string{"ended 2 days ago", "caddy reload --force"}},
		{name: "the port speaks no TLS",
			sick: func(t *testing.T, c *clinic) {
				plain := httptest.NewServer(http.NotFoundHandler())
				t.Cleanup(plain.Close)
				c.args = append(c.args, "--connect", plain.Listener.Addr().String())
			},
			step: "server certificate", says: []string{"speaks no TLS", "http://"}},
		{name: "plain http is not redirected",
			sick: func(t *testing.T, c *clinic) {
				c.change("\t\thttp_redirect\n", "")
			},
			step: "redirect", says: []string{"refused, not sent to https", "http_redirect"}},
		{name: "no client certificate is given",
			sick: func(t *testing.T, c *clinic) { c.args = c.args[:2] },
			step: "client certificate", says: []string{"none is given", "--cert"}, skips: []string{"address", "token", "adapter", "audit"}},
		{name: "the client certificate is of another CA",
			sick: func(t *testing.T, c *clinic) { c.show(newAuthority(t, "evil CA").leaf(t, "clawdbot")) },
			step: "client certificate", says: []string{"refuses", "evil CA", "trust_pool"}, skips: []string{"token"}},
		{name: "the client certificate has ended",
			sick: func(t *testing.T, c *clinic) {
				c.show(c.ca.leafWithin(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)))
			},
			step: "client certificate", says: []string{"ended 1h ago", "renewed"}},
		{name: "the client certificate is a server's",
			sick: func(t *testing.T, c *clinic) { c.show(c.ca.leaf(t, "clawdbot", "clawdbot.example.com")) },
			step: "client certificate", says: []string{"not made for clients", "clientAuth"}},
		{name: "no client certificate is needed",
			sick: func(t *testing.T, c *clinic) { c.change("mode require_and_verify", "mode verify_if_given") },
			step: "no certificate", says: []string{"is answered 401", "require_and_verify"}},
		{name: "the address is not on the allow-list",
			sick: func(t *testing.T, c *clinic) { c.args = append(c.args, "--from", "127.0.0.200") },
			step: "address", says: []string{"not let in", "allow-list", "remote_ip"}, skips: []string{"token", "rate headers", "adapter"}},
		{name: "strangers are not even answered",
			sick: func(t *testing.T, c *clinic) {
				c.change(`error @stranger "address not on the allow-list" 403`, "abort @stranger")
				c.args = append(c.args, "--from", "127.0.0.200")
			},
			step: "client certificate", says: []string{"no answer", "abort"}},
		{name: "the address is blocked",
			infect: func(t *testing.T, c *clinic) {
				for range 3 {
					c.mustPost(c.from("127.0.0.1"), "", chatBody("hello", false))
				}
			},
			step: "address", says: []string{"is blocked for", "caddy ip-throttle unblock"}, skips: []string{"token"}},
		{name: "the address is over its rate",
			sick: func(t *testing.T, c *clinic) { c.change("rate 5/s", "rate 10/h") },
			infect: func(t *testing.T, c *clinic) {
				for range 11 {
					c.mustPost(c.from("127.0.0.1"), tokenFor(t, "bot"), chatBody("hello", false))
				}
			},
			step: "address", says: []string{"over its limit", "burst"}},
		{name: "there is no allow-list",
			sick: func(t *testing.T, c *clinic) {
				c.change("@stranger not remote_ip 127.0.0.0/25", "")
				c.change(`error @stranger "address not on the allow-list" 403`, "")
			},
			step: "address", status: "warning", says: []string{"no allow-list", "remote_ip"}},
		{name: "the token has expired",
			sick: func(t *testing.T, c *clinic) {
				c.token(claimed(t, jwtSecret, time.Now().Add(-20*time.Minute), 5*time.Minute))
			},
			step: "token", says: []string{"expired 15m", "caddy jwt issue"}, skips: []string{"no token", "adapter"}},
		{name: "the token will soon have expired",
			sick: func(t *testing.T, c *clinic) {
				c.token(claimed(t, jwtSecret, time.Now().Add(-280*time.Second), 300*time.Second))
			},
			step: "token", status: "warning", says: []string{"of 5m0s are left", "jwt_mint"}},
		{name: "the token is from the future",
			sick: func(t *testing.T, c *clinic) {
				c.token(claimed(t, jwtSecret, time.Now().Add(2*time.Minute), time.Minute))
			},
			step: "token", says: []string{"in the future", "NTP"}},
		{name: "the token lives too long",
			sick: func(t *testing.T, c *clinic) { c.token(claimed(t, jwtSecret, time.Now(), time.Hour)) },
			step: "token", says: []string{"lives 1h0m0s", "max_lifetime, which is 5m0s"}},
		{name: "the token is signed with another secret",
			sick: func(t *testing.T, c *clinic) {
				c.token(claimed(t, strings.ToUpper(jwtSecret), time.Now(), time.Minute))
			},
			step: "token", says: []string{"another secret", "caddy jwt inspect", "audit record"}},
		{name: "the token is the secret",
			sick: func(t *testing.T, c *clinic) { c.token(jwtSecret) },
			step: "token", says: []string{"no JSON Web Token", "a secret or a key"}},
		{name: "the configuration's secret is gone",
			infect: func(t *testing.T, c *clinic) { c.change("jwt.key}", "nowhere.key}") },
			step:   "token", status: "warning", says: []string{"nowhere.key} is empty", "does not start with this configuration", "--token-file"}},
		{name: "no token is needed",
			sick: func(t *testing.T, c *clinic) {
				c.token(tokenFor(t, "bot"))
				c.change(c.caddyfile[strings.Index(c.caddyfile, "jwt_auth {"):strings.Index(c.caddyfile, "# From OpenAI's dialect")], "")
			},
			step: "no token", says: []string{"is answered 200", "jwt_auth is missing"}},
		{name: "there is no rate",
			sick: func(t *testing.T, c *clinic) { c.change("rate 5/s\n\t\t\tburst 10", "") },
			step: "rate headers", says: []string{"no rate", "rate 5/s"}},
		{name: "the adapter is missing",
			sick: func(t *testing.T, c *clinic) {
				c.change(c.caddyfile[strings.Index(c.caddyfile, "ollama_adapter {"):strings.Index(c.caddyfile, "reverse_proxy ")], "")
			},
			step: "adapter", says: []string{"a chat is answered", "ollama_adapter is missing"}},
		{name: "the adapter lists other models",
			sick: func(t *testing.T, c *clinic) {
				c.change("default_model hello", "models other*")
			},
			step: "adapter", says: []string{"404", "models_claim"}},
		{name: "Ollama fails in the midst of an answer",
			models: []ollamatest.Model{failing("hello")},
			step:   "adapter", says: []string{"ends with an error", "journalctl -u ollama"}},
		{name: "nothing is recorded",
			sick: func(t *testing.T, c *clinic) { c.change("\t\taudit_log\n", "") },
			step: "audit", says: []string{"no X-Request-Id", "Put audit_log first"}},
		{name: "the running gateway records into another file",
			infect: func(t *testing.T, c *clinic) { c.change(c.file("audit.log"), c.file("elsewhere.log")) },
			step:   "audit", says: []string{"there is no", "another configuration", "caddy reload"}},
		{name: "the log has no record of the request",
			infect: func(t *testing.T, c *clinic) {
				writeFile(t, c.file("elsewhere.log"), []byte("{}\n"))
				c.change(c.file("audit.log"), c.file("elsewhere.log"))
			},
			step: "audit", says: []string{"has no record of request", "df"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			models := test.models
			if models == nil {
				models = []ollamatest.Model{loadedAtOnce("hello", 4096)}
			}
			c := openClinic(t, ollamaWith(t, models...).Address())
			if test.sick != nil {
				test.sick(t, c)
			}
			c.start()
			if test.infect != nil {
				test.infect(t, c)
			}
			d := c.examine()
			want, exit := test.status, 0
			if want == "" {
				want, exit = "failed", 1
			}
			status, text := d.of(t, test.step)
			if status != want || d.exit != exit || d.Sound != (exit == 0) {
				t.Errorf("%s is %s, want %s; ends with %d: %s", test.step, status, want, d.exit, d.all)
			}
			for _, words := range test.says {
				if !strings.Contains(text, words) {
					t.Errorf("%s does not say %q: %s", test.step, words, text)
				}
			}
			for _, step := range test.skips {
				if status, text := d.of(t, step); status != "skipped" || !strings.Contains(text, test.step) {
					t.Errorf("%s is %s, want it skipped: %s", step, status, text)
				}
			}
			for _, s := range d.Steps {
				if s.Step != test.step && s.Status == "failed" && !consequence(test.step, s.Step) {
					t.Errorf("%s is blamed, too: %s", s.Step, s.Finding)
				}
				if (s.Status == "failed" || s.Status == "warning") && (s.Cause == "" || s.Remedy == "") {
					t.Errorf("%s says no cause or no remedy: %+v", s.Step, s)
				}
			}
		})
	}
}

// besides has the gateway go to another Ollama, too, as the README has it.
func besides(c *clinic, another string) {
	c.t.Helper()
	block := severalBlock(dialled(c), another)
	c.change(block[0], block[1])
}

// elsewhere has the gateway go to another upstream, and the doctor still look at this one.
func elsewhere(c *clinic, upstream string) {
	c.t.Helper()
	c.args = append(c.args, "--ollama", dialled(c), "--no-request")
	c.change("reverse_proxy "+dialled(c), "reverse_proxy "+upstream)
}

// consequence reports whether a fault of one thing is rightly seen at another, too.
func consequence(of, step string) bool {
	switch of {
	case "server certificate":
		return step == "redirect" // where the port is another program's
	case "no token":
		return step == "rate headers"
	}
	return false
}
