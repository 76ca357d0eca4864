package integration

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// regulars are clients who ask all the time while something is changed, each time over a
// connection of its own. None of their requests may be refused. A connection may be turned
// away by a reload, and is tried once more: see README, "Change without downtime".
type regulars struct {
	g        *gateway
	answered atomic.Int64

	asking sync.Mutex // held while one of them asks

	mu    sync.Mutex
	shown tls.Certificate
	token func() string
}

func (g *gateway) serveRegulars(shown tls.Certificate, token func() string) *regulars {
	r := &regulars{g: g, shown: shown, token: token}
	done := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-ticker.C:
				r.ask(fmt.Sprintf("127.0.0.%d", 2+i%100)) // each within its rate
			}
		}
	})
	g.t.Cleanup(func() { close(done); loop.Wait() })
	return r
}

func (r *regulars) ask(source string) {
	r.asking.Lock()
	defer r.asking.Unlock()
	r.mu.Lock()
	shown, token := r.shown, r.token
	r.mu.Unlock()
	client := r.g.clientWith(source, &tls.Config{RootCAs: r.g.ca.pool(), Certificates: []tls.Certificate{shown}})
	client.Transport.(*http.Transport).DisableKeepAlives = true
	a, err := r.g.post(client, token(), chatBody("hello", false))
	if err != nil {
		a, err = r.g.post(client, token(), chatBody("hello", false))
	}
	if r.g.t.Context().Err() != nil {
		return // the test has ended
	}
	if err != nil || a.status != http.StatusOK {
		r.g.t.Errorf("a regular gets %d %s (%v)", a.status, a.body, err)
		return
	}
	r.answered.Add(1)
}

// change gives them other credentials.
func (r *regulars) change(shown tls.Certificate, token func() string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown, r.token = shown, token
}

// pause does something while none of them asks.
func (r *regulars) pause(do func()) {
	r.asking.Lock()
	defer r.asking.Unlock()
	do()
}

// await waits until some of them were answered.
func (r *regulars) await() {
	r.g.t.Helper()
	before := r.answered.Load()
	await(r.g.t, "regulars being answered", func() error {
		if n := r.answered.Load() - before; n < 10 {
			return fmt.Errorf("%d were", n)
		}
		return nil
	})
}

func (g *gateway) mustReload(changes ...string) {
	g.t.Helper()
	g.change(changes...)
	if err := g.reload(g.caddyfile); err != nil {
		g.t.Fatal(err)
	}
}

// run runs a command of the gateway's binary, and returns what it prints and how it ends.
func (g *gateway) run(args ...string) (output string, exit int) {
	g.t.Helper()
	cmd := gatewayCommand(g.t, g.dir, args...)
	text, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		g.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// mustRun is run where it cannot fail.
func (g *gateway) mustRun(args ...string) string {
	g.t.Helper()
	output, exit := g.run(args...)
	if exit != 0 {
		g.t.Fatalf("caddy %s ends with %d: %s", strings.Join(args, " "), exit, output)
	}
	return strings.TrimSpace(output)
}

// README, "Keys": secret of tokens.
func TestTheSecretOfTokensIsRotated(t *testing.T) {
	const lifetime = 3 * time.Second
	signed := func(secret string) func() string {
		return func() string {
			now := time.Now()
			return signedToken(t, secret, jwt.MapClaims{"sub": "bot", "iat": now.Unix(), "exp": now.Add(lifetime).Unix()})
		}
	}
	secondSecret := strings.ToUpper(jwtSecret)
	g := startGatewayWith(t, scripted(t).Address(), "max_lifetime 5m", "max_lifetime "+lifetime.String())
	writeFile(t, g.file("second.key"), []byte(secondSecret+"\n"))
	if a := g.mustPost(g.from("127.0.0.120"), signed(secondSecret)(), chatBody("hello", false)); a.status != 403 {
		t.Fatalf("before: a token of the new secret gets %d", a.status)
	}
	r := g.serveRegulars(g.client, signed(jwtSecret))
	r.await()

	first, second := "secret {file."+g.file("jwt.key")+"}\n", "secret {file."+g.file("second.key")+"}\n"
	g.mustReload(first, first+second)
	r.await()
	r.change(g.client, signed(secondSecret)) // who issues tokens uses the new one
	last := time.Now().Add(lifetime)
	r.await()
	<-time.After(time.Until(last)) // what the README says to wait for
	old := signed(jwtSecret)
	if a := g.mustPost(g.from("127.0.0.121"), old(), chatBody("hello", false)); a.status != 200 {
		t.Errorf("as long as the old line is there, a token of the old secret gets %d", a.status)
	}
	g.mustReload(first, "")
	r.await()
	if a := g.mustPost(g.from("127.0.0.122"), old(), chatBody("hello", false)); a.status != 403 {
		t.Errorf("afterwards a token of the old secret gets %d", a.status)
	}
}

// README, "Keys": key pair of a bot. The others have a secret, and notice nothing.
func TestTheKeyPairOfABotIsRotated(t *testing.T) {
	g := prepareGateway(t, scripted(t).Address())
	g.mustRun("jwt", "keygen", "--type", "ed25519", "--out", g.file("bot.pem"))
	g.mustRun("jwt", "keygen", "--type", "ed25519", "--out", g.file("bot2.pem"))
	// of EdDSA and HS256 each key has its own
	first, second := "public_key "+g.file("bot.pem.pub")+"\n", "public_key "+g.file("bot2.pem.pub")+"\n"
	g.change("max_lifetime 5m\n", "max_lifetime 5m\n"+first)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	issued := func(key string) func() string {
		token := g.mustRun("jwt", "issue", "--private-key-file", g.file(key), "--sub", "clawdbot")
		return func() string { return token }
	}
	others := g.serveRegulars(g.client, func() string { return tokenFor(t, "another") })
	old := issued("bot.pem")
	bot := g.serveRegulars(g.client, old)
	others.await()
	bot.await()

	g.mustReload(first, first+second)
	bot.await()
	bot.change(g.client, issued("bot2.pem"))
	bot.await()
	g.mustReload(first, "")
	bot.await()
	others.await()
	if a := g.mustPost(g.from("127.0.0.120"), old(), chatBody("hello", false)); a.status != 403 {
		t.Errorf("afterwards a token of the old key gets %d", a.status)
	}
}

// README, "Keys": the gateway's certificate.
func TestTheServerCertificateIsRotated(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	serial := func() string {
		conn, err := tls.Dial("tcp", g.address(), &tls.Config{ServerName: host, RootCAs: g.ca.pool(), Certificates: []tls.Certificate{g.client}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	r := g.serveRegulars(g.client, func() string { return tokenFor(t, "bot") })
	r.await()
	renewed := g.ca.leaf(t, host, host)
	writeCert(t, g.file("gw.crt"), renewed.Certificate[0])
	writeKey(t, g.file("gw.key"), renewed.PrivateKey)
	r.await()
	g.mustReload()
	r.await()
	leaf, err := x509.ParseCertificate(renewed.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != leaf.SerialNumber.String() {
		t.Errorf("the certificate that is shown has number %s, the new one %s", got, leaf.SerialNumber)
	}
}

// README, "Keys": CA of the clients.
func TestTheClientCAIsRotated(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	token := func() string { return tokenFor(t, "bot") }
	successor := newAuthority(t, "the next internal CA")
	renewed := successor.leaf(t, "clawdbot")
	letsIn := func(source string, certificate tls.Certificate) bool {
		client := g.clientWith(source, &tls.Config{RootCAs: g.ca.pool(), Certificates: []tls.Certificate{certificate}})
		a, err := g.post(client, token(), chatBody("hello", false))
		if err == nil && a.status != 200 {
			t.Errorf("who is let in gets %d %s", a.status, a.body)
		}
		return err == nil
	}
	if letsIn("127.0.0.120", renewed) {
		t.Fatal("before: the new CA's clients are let in")
	}
	r := g.serveRegulars(g.client, token)
	r.await()

	before, after := readFile(t, g.file("internal-ca.crt")), g.file("new.crt")
	writeCert(t, after, successor.cert.Raw)
	writeFile(t, g.file("internal-ca.crt"), []byte(before+readFile(t, after)))
	g.mustReload()
	r.await()
	r.change(renewed, token)
	r.await()
	writeFile(t, g.file("internal-ca.crt"), []byte(readFile(t, after)))
	g.mustReload()
	r.await()
	if letsIn("127.0.0.121", g.client) {
		t.Error("afterwards the old CA's clients are let in")
	}
}

// README, "Keys": audit.key. Each head is vouched for by the key of its time, and by none
// else.
func TestTheKeyOfTheAuditLogIsRotated(t *testing.T) {
	for name, takeUp := range map[string]func(g *gateway){
		"reload": func(g *gateway) { g.mustReload() },
		"restart": func(g *gateway) {
			g.stop()
			g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
			g.awaitListening(t, g.address())
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, scripted(t).Address())
			g.t = t
			headOf := func(key string) string { return g.auditHead(t, key) }
			var r *regulars
			if name == "reload" {
				r = g.serveRegulars(g.client, func() string { return tokenFor(t, "bot") })
				r.await()
			} else {
				g.mustPost(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", false))
			}
			g.records(1)
			writeFile(t, g.file("copy.head"), []byte(headOf("")))
			oldName := fingerprintOf(t, g.file("audit.key.pub"))
			if err := os.Rename(g.file("audit.key.pub"), g.file("old.pub")); err != nil {
				t.Fatal(err)
			}

			g.mustRun("jwt", "keygen", "--type", "ed25519", "--out", g.file("audit.key"), "--force")
			newName := fingerprintOf(t, g.file("audit.key.pub"))
			takeUp(g)
			if r != nil {
				r.await()
			}
			headOf(newName)

			log, newPub, oldPub, copied := g.file("audit.log"), g.file("audit.key.pub"), g.file("old.pub"), g.file("copy.head")
			for _, test := range []struct {
				name string
				args []string
				exit int
				says []string
			}{
				{"the head and the new key", []string{"--public-key", newPub}, 0,
					[]string{"its signature is right", "from here on the head is signed with another key: " + newName, "\nsound: "}},
				{"the copy and the old key", []string{"--head", copied, "--public-key", oldPub}, 0, []string{"its signature is right", "came after the head", "\nsound: "}},
				{"the head and the old key", []string{"--public-key", oldPub}, 1, []string{"signed with key " + newName + ", not with that of " + oldPub + ", " + oldName, "TAMPERED: 1 places"}},
				{"the copy and the new key", []string{"--head", copied, "--public-key", newPub}, 1, []string{"signed with key " + oldName + ", not with that of " + newPub + ", " + newName, ".pub of that time"}},
			} {
				output, exit := g.run(append([]string{"audit", "verify", log}, test.args...)...)
				if exit != test.exit {
					t.Errorf("%s: ends with %d, want %d: %s", test.name, exit, test.exit, output)
				}
				for _, words := range test.says {
					if !strings.Contains(output, words) {
						t.Errorf("%s: does not say %q: %s", test.name, words, output)
					}
				}
			}
		})
	}
}
