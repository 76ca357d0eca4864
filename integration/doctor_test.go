package integration

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// diagnosis is what `caddy ollama-doctor --json` prints.
type diagnosis struct {
	Sound bool
	Steps []struct{ Step, Status, Finding, Cause, Remedy string }
	exit  int
	all   string // with what it prints on the standard error
}

// of is what it says of a step; of several Ollamas, of the first that is worst off.
func (d diagnosis) of(t *testing.T, step string) (status, text string) {
	t.Helper()
	worst := []string{"failed", "warning", "skipped", "ok"}
	for _, wanted := range worst {
		for _, s := range d.Steps {
			if s.Step == step && s.Status == wanted {
				return s.Status, s.Finding + " " + s.Cause + " " + s.Remedy
			}
		}
	}
	t.Fatalf("there is no step %q: %s", step, d.all)
	return "", ""
}

// clinic is a gateway, and who examines it.
type clinic struct {
	*gateway
	args []string // of the doctor
}

// open prepares a gateway and the doctor's usual arguments.
func openClinic(t *testing.T, upstream string) *clinic {
	t.Helper()
	g := prepareGateway(t, upstream)
	writeCert(t, g.file("client.crt"), g.client.Certificate[0])
	writeKey(t, g.file("client.key"), g.client.PrivateKey)
	c := &clinic{g, []string{"--config", g.configFile(), "--cert", g.file("client.crt"), "--key", g.file("client.key")}}
	c.change("num_ctx 32768", "num_ctx 2048")
	return c
}

// change changes the Caddyfile.
func (c *clinic) change(old, new string) {
	c.t.Helper()
	if !strings.Contains(c.caddyfile, old) {
		c.t.Fatalf("the Caddyfile does not say %q", old)
	}
	c.caddyfile = strings.Replace(c.caddyfile, old, new, 1)
	c.writeConfig(c.caddyfile)
}

func (c *clinic) start() {
	c.t.Helper()
	c.process = startProcess(c.t, c.dir, "run", "--config", c.configFile(), "--adapter", "caddyfile")
	c.awaitListening(c.t, c.address())
}

// token writes a token into a file and has the doctor take it.
func (c *clinic) token(text string) {
	c.t.Helper()
	writeFile(c.t, c.file("token"), []byte(text+"\n"))
	c.args = append(c.args, "--token-file", c.file("token"))
}

// examine runs the doctor. It never prints what is secret.
func (c *clinic) examine() diagnosis {
	c.t.Helper()
	return examine(c.t, c.dir, append([]string{"--json"}, c.args...)...)
}

func examine(t *testing.T, dir string, args ...string) (d diagnosis) {
	t.Helper()
	return examineBy(t, gatewayCommand(t, dir, append([]string{"ollama-doctor"}, args...)...))
}

// examineBy runs a command that is the doctor.
func examineBy(t *testing.T, cmd *exec.Cmd) (d diagnosis) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := err.(*exec.ExitError); !ok {
			t.Fatal(err)
		}
	}
	d.exit, d.all = cmd.ProcessState.ExitCode(), stdout.String()+stderr.String()
	if slices.Contains(cmd.Args, "--json") && d.exit != 2 {
		if err := json.Unmarshal(stdout.Bytes(), &d, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatalf("%v: %s", err, d.all)
		}
	}
	for _, secret := range []string{jwtSecret, "eyJ", "PRIVATE KEY"} {
		if strings.Contains(d.all, secret) {
			t.Errorf("it prints %q: %s", secret, d.all)
		}
	}
	return d
}

// loadedAtOnce is a model that is loaded in no time.
func loadedAtOnce(name string, context int) ollamatest.Model {
	model := ollamatest.Says(name, "Hello", " world")
	model.LoadTime, model.ContextLength = time.Millisecond, context
	return model
}

// ollamaWith is a scripted Ollama.
func ollamaWith(t *testing.T, models ...ollamatest.Model) *ollamatest.Server {
	t.Helper()
	server := ollamatest.NewServer(models...)
	t.Cleanup(server.Close)
	return server
}

func TestTheDoctorFindsNothingWhereNothingIsWrong(t *testing.T) {
	c := openClinic(t, ollamaWith(t, loadedAtOnce("hello", 4096)).Address())
	c.start()
	d := c.examine()
	if status, text := d.of(t, "loaded"); status != "warning" || !strings.Contains(text, "keep_alive") {
		t.Errorf("of a model that is not loaded it says %s, %s", status, text)
	}
	d = c.examine() // the first has loaded the model
	if !d.Sound || d.exit != 0 || len(d.Steps) != 17 {
		t.Errorf("ends with %d, %d steps: %s", d.exit, len(d.Steps), d.all)
	}
	for _, s := range d.Steps {
		if s.Status != "ok" {
			t.Errorf("%s is %s: %s", s.Step, s.Status, s.Finding)
		}
	}

	t.Run("nor with several Ollamas, as the README has them", func(t *testing.T) {
		several := openClinic(t, ollamaWith(t, loadedAtOnce("hello", 4096)).Address())
		besides(several, ollamaWith(t, loadedAtOnce("hello", 4096)).Address())
		several.start()
		several.examine() // which loads the model at one of them
		d := several.examine()
		if !d.Sound || d.exit != 0 || len(d.Steps) != 17+4+2 {
			t.Errorf("ends with %d, %d steps: %s", d.exit, len(d.Steps), d.all)
		}
		for _, s := range d.Steps {
			if s.Status != "ok" {
				t.Errorf("%s is %s: %s", s.Step, s.Status, s.Finding)
			}
		}
	})
	t.Run("in a table without colours, as it is no terminal", func(t *testing.T) {
		d := examine(t, c.dir, append(c.args, "--from", "127.0.0.3")...) // each with a throttle of its own
		if strings.Contains(d.all, "\x1b") || strings.Count(d.all, "\nok ") != 16 || !strings.Contains(d.all, "a few tokens") {
			t.Errorf("prints %s", d.all)
		}
	})
	t.Run("with a sidecar's configuration", func(t *testing.T) {
		s := prepareSidecar(t, c.address(), c.ca, c.client)
		s.writeConfig()
		d := examine(t, c.dir, "--json", "--config", s.file("Caddyfile"))
		for step, want := range map[string]string{"ollama": "skipped", "client certificate": "ok", "token": "ok", "adapter": "ok", "audit": "ok"} {
			if status, text := d.of(t, step); status != want {
				t.Errorf("%s is %s: %s", step, status, text)
			}
		}
	})
	t.Run("a token as it stands in a header", func(t *testing.T) {
		writeFile(t, c.file("header"), []byte("Bearer "+tokenFor(t, "bot")+"\n"))
		d := examine(t, c.dir, append(c.args, "--json", "--token-file", c.file("header"), "--from", "127.0.0.5")...)
		if status, text := d.of(t, "token"); status != "ok" {
			t.Errorf("token: %s, %s", status, text)
		}
	})
	t.Run("with nothing but a URL", func(t *testing.T) {
		d := examine(t, c.dir, "--json", "--url", c.url(""), "--connect", c.address(), "--cacert", c.file("internal-ca.crt"),
			"--cert", c.file("client.crt"), "--key", c.file("client.key"), "--token", tokenFor(t, "bot"), "--model", "hello", "--from", "127.0.0.4")
		if !d.Sound {
			t.Errorf("finds %s", d.all)
		}
		if status, text := d.of(t, "token"); status != "ok" || !strings.Contains(text, "for bot") || !strings.Contains(text, "of 5m0s are left") {
			t.Errorf("token: %s, %s", status, text)
		}
	})
}

// dialled is where the gateway's reverse_proxy goes.
func dialled(c *clinic) string {
	_, after, _ := strings.Cut(c.caddyfile, "reverse_proxy ")
	address, _, _ := strings.Cut(after, "\n")
	return address
}

func failing(name string) ollamatest.Model {
	return ollamatest.Model{Name: name, ContextLength: 4096, Answer: func(ollama.ChatRequest) ollamatest.Answer {
		return ollamatest.Answer{Content: []string{"Hello", " world"}, Fault: ollamatest.ErrorLine, FaultAt: 1}
	}}
}

// claimed is a token with times of its own.
func claimed(t *testing.T, secret string, issued time.Time, life time.Duration) string {
	t.Helper()
	return signedToken(t, secret, jwt.MapClaims{"sub": "bot", "iat": issued.Unix(), "exp": issued.Add(life).Unix()})
}

// serve gives the gateway another certificate.
func (c *clinic) serve(certificate tls.Certificate) {
	c.t.Helper()
	writeCert(c.t, c.file("gw.crt"), certificate.Certificate[0])
	writeKey(c.t, c.file("gw.key"), certificate.PrivateKey)
}

// show gives the doctor another client certificate.
func (c *clinic) show(certificate tls.Certificate) {
	c.t.Helper()
	writeCert(c.t, c.file("client.crt"), certificate.Certificate[0])
	writeKey(c.t, c.file("client.key"), certificate.PrivateKey)
}

// leafWithin is a certificate that is good within a time.
func (a *authority) leafWithin(t *testing.T, from, until time.Time, names ...string) tls.Certificate {
	t.Helper()
	usage := x509.ExtKeyUsageClientAuth
	if len(names) > 0 {
		usage = x509.ExtKeyUsageServerAuth
	}
	key, der := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "clawdbot"},
		NotBefore: from, NotAfter: until, DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, a)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// The gateway's clock cannot be set here; so another server plays its part.
func TestTheDoctorFindsAClockThatIsWrong(t *testing.T) {
	ca := newAuthority(t, "internal CA")
	for name, test := range map[string]struct {
		ahead        time.Duration
		status, says string
	}{
		// the header Date has whole seconds, so it may be one more or less
		"right":             {0, "ok", "agree"},
		"ten seconds ahead": {10 * time.Second, "warning", "(9|10|11)s ahead of this one"},
		"an hour behind":    {-time.Hour, "failed", "(59m59|1h0m0|1h0m1)s behind this one"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(test.ahead).UTC().Format(http.TimeFormat))
			}))
			server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, "localhost", "localhost")}}
			server.StartTLS()
			t.Cleanup(server.Close)
			g := prepareGateway(t, "127.0.0.1:1")
			writeCert(t, g.file("ca.crt"), ca.cert.Raw)
			_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
			d := examine(t, g.dir, "--json", "--url", "https://localhost:"+port, "--connect", "127.0.0.1:"+port, "--cacert", g.file("ca.crt"), "--ollama", "127.0.0.1:1")
			if status, text := d.of(t, "clock"); status != test.status || !regexp.MustCompile(test.says).MatchString(text) {
				t.Errorf("clock is %s: %s", status, text)
			}
		})
	}
}

func TestTheDoctorRefusesWhatItCannotExamine(t *testing.T) {
	g := prepareGateway(t, "127.0.0.1:1")
	broken := g.file("broken")
	writeFile(t, broken, []byte("localhost {\n\tollama_adapter {\n\t\tno_such_option\n\t}\n}\n"))
	website := g.file("website")
	writeFile(t, website, []byte("localhost {\n\trespond hello\n}\n"))
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"nobody is named", nil, "give --config, --url or --ollama"},
		{"an option that is not there", []string{"--colour"}, "unknown flag"},
		{"an argument", []string{"help me"}, "unknown command"},
		{"no such file", []string{"--config", g.file("nowhere")}, "no such file"},
		{"a Caddyfile that is broken", []string{"--config", broken}, "broken:3"},
		{"a Caddyfile of something else", []string{"--config", website}, "no site with ollama_adapter"},
		{"a URL without TLS", []string{"--url", "http://" + g.address()}, "give https"},
		{"a certificate without its key", []string{"--url", g.url(""), "--cert", g.file("gw.crt")}, "belong together"},
		{"a CA that is none", []string{"--url", g.url(""), "--cacert", g.file("jwt.key")}, "no certificate in PEM form"},
		{"a token of several lines", []string{"--url", g.url(""), "--token", "a b"}, "blanks or line breaks"},
	} {
		if d := examine(t, g.dir, test.args...); d.exit != 2 || !strings.Contains(d.all, test.says) {
			t.Errorf("%s: ends with %d: %s", test.name, d.exit, d.all)
		}
	}
}

func TestTheDoctorExaminesARealOllama(t *testing.T) {
	server := realOllama(t)
	c := openClinic(t, upstreamOf(server))
	c.start()
	c.examine() // which loads the model
	d := c.examine()
	for _, step := range []string{"ollama", "model", "loaded", "context", "exposure", "adapter", "audit"} {
		if status, text := d.of(t, step); status != "ok" {
			t.Errorf("%s is %s: %s", step, status, text)
		}
	}
	if _, text := d.of(t, "context"); !strings.Contains(text, "loaded with 2048") {
		t.Errorf("of the context it says %s", text)
	}
}
