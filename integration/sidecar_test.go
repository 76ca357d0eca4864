package integration

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// sidecar is caddyfile-examples/sidecar.Caddyfile in force, with test credentials, on
// a loopback port.
type sidecar struct {
	*process
	t         *testing.T
	dir       string
	port      string
	caddyfile string
}

// dummyKey is what a bot sends that knows of no token.
const dummyKey = "canary-api-key-of-the-bot"

// startSidecar runs the example in front of a gateway (host:port) whose certificate is
// of the CA, with a client certificate.
func startSidecar(t *testing.T, upstream string, ca *authority, client tls.Certificate) *sidecar {
	t.Helper()
	s := prepareSidecar(t, upstream, ca, client)
	s.start()
	return s
}

// prepareSidecar writes the sidecar's files and starts nothing.
func prepareSidecar(t *testing.T, upstream string, ca *authority, client tls.Certificate) *sidecar {
	t.Helper()
	dir, err := os.MkdirTemp(workDir, "s")
	if err != nil {
		t.Fatal(err)
	}
	s := &sidecar{t: t, dir: dir, port: freePort(t)}
	s.writeClient(client)
	writeCert(t, s.file("internal-ca.crt"), ca.cert.Raw)
	writeFile(t, s.file("jwt.key"), []byte(jwtSecret+"\n"))
	example, err := os.ReadFile("../caddyfile-examples/sidecar.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	s.caddyfile = strings.NewReplacer(
		"/etc/caddy-ollama", dir,
		"/run/caddy-ollama", dir,
		"/var/log/caddy-ollama", dir,
		"18788", s.port,
		"https://"+host+":18789", "https://"+upstream,
	).Replace(string(example))
	return s
}

func (s *sidecar) start() {
	s.t.Helper()
	s.writeConfig()
	s.process = startProcess(s.t, s.dir, "run", "--config", s.file("Caddyfile"), "--adapter", "caddyfile")
	s.awaitListening(s.t, "127.0.0.1:"+s.port)
}

func (s *sidecar) file(name string) string { return filepath.Join(s.dir, name) }
func (s *sidecar) url(path string) string  { return "http://127.0.0.1:" + s.port + path }
func (s *sidecar) writeConfig()            { writeFile(s.t, s.file("Caddyfile"), []byte(s.caddyfile)) }

// writeClient puts a client certificate in place.
func (s *sidecar) writeClient(client tls.Certificate) {
	s.t.Helper()
	writeCert(s.t, s.file("client.crt"), client.Certificate[0])
	writeKey(s.t, s.file("client.key"), client.PrivateKey)
}

// reload puts everything in force anew, as an operator does.
func (s *sidecar) reload() {
	s.t.Helper()
	output, err := gatewayCommand(s.t, s.dir, "reload", "--force", "--config", s.file("Caddyfile"), "--adapter", "caddyfile",
		"--address", "unix//"+s.file("sidecar.sock")).CombinedOutput()
	if err != nil {
		s.t.Fatalf("caddy reload: %v\n%s", err, output)
	}
}

// bot is a client that knows nothing but the base URL. Its key is anywhere.
func (s *sidecar) bot() openai.Client {
	return openai.NewClient(option.WithBaseURL(s.url("/v1")), option.WithAPIKey(dummyKey), option.WithHeader("X-Api-Key", dummyKey), option.WithMaxRetries(0))
}

// post sends a chat request from an address of this host, with changes to it.
func (s *sidecar) post(source string, change func(*http.Request)) (answer, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url("/v1/chat/completions"), strings.NewReader(chatBody("hello", false)))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	change(req)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func unchanged(*http.Request) {}

// fingerprint is the SHA-256 of a certificate.
func fingerprint(certificate tls.Certificate) []byte {
	sum := sha256.Sum256(certificate.Certificate[0])
	return sum[:]
}

func TestABotChatsThroughItsSidecar(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	s := startSidecar(t, g.address(), g.ca, g.client)
	for i, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			if got := form.ask(t, s.bot(), ask("hello")).Choices[0].Message.Content; got != "Hello world" {
				t.Errorf("the bot hears %q", got)
			}
			g.records(i + 1)
		})
	}
	for _, r := range g.records(2) {
		checkRecord(t, r, record{
			"http.response.status_code": 200, "event.reason": "ok", "user.id": "clawdbot",
			"tls.client.subject": "CN=clawdbot", "tls.client.hash.sha256": strings.ToUpper(hex.EncodeToString(fingerprint(g.client))),
		})
	}

	var lines []string
	await(t, "two lines in the sidecar's log", func() error {
		data, err := os.ReadFile(s.file("sidecar.log"))
		if lines = strings.SplitAfter(string(data), "\n"); len(lines) < 3 {
			return fmt.Errorf("there are %d (%v)", len(lines)-1, err)
		}
		return nil
	})
	for _, forbidden := range []string{dummyKey, "Bearer", "eyJ", jwtSecret} {
		if strings.Contains(strings.Join(lines, "")+s.output.String(), forbidden) {
			t.Errorf("the sidecar's logs have %q", forbidden)
		}
	}
}

// With a key pair in place of the secret, as both examples advise, and all that
// jwt_auth can ask of a token.
func TestTheStrictestGatewayTakesTheSidecarsTokens(t *testing.T) {
	g := prepareGateway(t, scripted(t).Address())
	s := prepareSidecar(t, g.address(), g.ca, g.client)
	private := s.file("clawdbot.pem")
	if output, err := gatewayCommand(t, s.dir, "jwt", "keygen", "--type", "ed25519", "--out", private).CombinedOutput(); err != nil {
		t.Fatalf("caddy jwt keygen: %v\n%s", err, output)
	}
	g.caddyfile = strings.NewReplacer(
		"secret {file."+g.file("jwt.key")+"}", "public_key "+private+".pub",
		"max_lifetime 5m", "max_lifetime 5m\n issuer sidecar\n audience gateway\n bind_certificate required\n replay once\n require scope chat",
	).Replace(g.caddyfile)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	s.caddyfile = strings.Replace(s.caddyfile, "secret {file."+s.file("jwt.key")+"}",
		"private_key "+private+"\n iss sidecar\n aud gateway\n claim scope \"chat embed\"", 1)
	s.start()
	for range 3 {
		if a, err := s.post("127.0.0.1", unchanged); err != nil || a.status != 200 {
			t.Errorf("got %d %s (%v): %v", a.status, a.body, err, g.records(1))
		}
	}
}

// The gateway's refusals reach the bot as they are.
func TestTheGatewaysRefusalsReachTheBot(t *testing.T) {
	g := prepareGateway(t, scripted(t).Address())
	g.caddyfile = strings.Replace(g.caddyfile, "max_lifetime 5m", "max_lifetime 1m", 1)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	s := startSidecar(t, g.address(), g.ca, g.client)
	a, err := s.post("127.0.0.1", unchanged)
	if err != nil || a.status != 403 || a.errorCode() != "invalid_api_key" {
		t.Errorf("got %d %s (%v)", a.status, a.body, err)
	}
	checkRecord(t, g.records(1)[0], record{"event.reason": "bad_token:lifetime"})
}

func TestTheSidecarServesNobodyElse(t *testing.T) {
	upstream := scripted(t)
	g := startGateway(t, upstream.Address())
	s := prepareSidecar(t, g.address(), g.ca, g.client)
	s.caddyfile = strings.Replace(s.caddyfile, "remote_ip 127.0.0.0/8", "remote_ip 127.0.0.0/25", 1) // so that there are strangers here
	s.start()

	for _, test := range []struct {
		name, source string
		change       func(*http.Request)
	}{
		{"a stranger's address", "127.0.0.200", unchanged},
		{"a website", "127.0.0.1", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }},
		{"a page without origin", "127.0.0.1", func(r *http.Request) { r.Header.Set("Origin", "null") }},
		{"a name that was made point here", "127.0.0.1", func(r *http.Request) { r.Host = "evil.example.com:" + s.port }},
		{"no name", "127.0.0.1", func(r *http.Request) { r.Host = "0.0.0.0" }},
	} {
		a, err := s.post(test.source, test.change)
		if err != nil || a.status != 403 || a.errorCode() != "forbidden" {
			t.Errorf("%s: got %d %s (%v)", test.name, a.status, a.body, err)
		}
	}
	if n := len(g.records(0)); n > 0 || len(upstream.Requests()) > 0 {
		t.Errorf("the gateway got %d requests", n)
	}
	for _, name := range []string{"127.0.0.1:" + s.port, "localhost:" + s.port, "localhost"} {
		if a, err := s.post("127.0.0.2", func(r *http.Request) { r.Host = name }); err != nil || a.status != 200 {
			t.Errorf("as %s: got %d %s (%v)", name, a.status, a.body, err)
		}
	}
}

// outerAddress is an address of this host by which others can reach it.
func outerAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	t.Skip("this host has no address but loopback")
	return ""
}

func TestTheSidecarIsNotReachableFromOutside(t *testing.T) {
	outer := outerAddress(t)
	g := startGateway(t, scripted(t).Address())
	s := startSidecar(t, g.address(), g.ca, g.client)
	if conn, err := net.DialTimeout("tcp", net.JoinHostPort(outer, s.port), time.Second); err == nil {
		conn.Close()
		t.Error("it takes connections from outside")
	}

	// and should somebody open it, the second line holds
	open := prepareSidecar(t, g.address(), g.ca, g.client)
	open.caddyfile = strings.Replace(open.caddyfile, "bind 127.0.0.1", "bind 0.0.0.0", 1)
	open.start()
	resp, err := http.Post("http://"+net.JoinHostPort(outer, open.port)+"/v1/chat/completions", "application/json", strings.NewReader(chatBody("hello", false)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("it answers %s to a caller from outside", resp.Status)
	}
}

// stub is a gateway that takes requests only with a certificate, and remembers what
// they had with them.
type stub struct {
	*httptest.Server
	requests chan stubRequest
}

type stubRequest struct {
	header      http.Header
	certificate []byte // SHA-256
}

func newStub(t *testing.T, ca *authority) *stub {
	t.Helper()
	s := &stub{requests: make(chan stubRequest, 10)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		s.requests <- stubRequest{r.Header, sum[:]}
		_, _ = io.WriteString(w, "{}")
	}))
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{ca.leaf(t, host, host)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(),
	}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// claims are those of a request's token.
func (r stubRequest) claims(t *testing.T) jwt.MapClaims {
	t.Helper()
	compact, _ := strings.CutPrefix(r.header.Get("Authorization"), "Bearer ")
	parsed, err := jwt.Parse(compact, func(*jwt.Token) (any, error) { return []byte(jwtSecret), nil }, jwt.WithExpirationRequired())
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Claims.(jwt.MapClaims)
}

func TestTheSidecarsTokenBelongsToItsCertificate(t *testing.T) {
	ca := newAuthority(t, "internal CA")
	upstream := newStub(t, ca)
	first, second := ca.leaf(t, "clawdbot"), ca.leaf(t, "clawdbot")
	s := startSidecar(t, upstream.Listener.Addr().String(), ca, first)

	seen := make(map[any]bool)
	expect := func(certificate tls.Certificate) {
		t.Helper()
		a, err := s.post("127.0.0.1", func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+dummyKey)
			r.Header.Set("X-Api-Key", dummyKey)
			r.Header.Set("Api-Key", dummyKey)
		})
		if err != nil || a.status != 200 {
			t.Fatalf("got %d %s (%v)", a.status, a.body, err)
		}
		r := <-upstream.requests
		if strings.Contains(fmt.Sprint(r.header), dummyKey) {
			t.Errorf("the bot's key goes further: %v", r.header)
		}
		claims := r.claims(t)
		cnf, _ := claims["cnf"].(map[string]any)
		shown := base64.RawURLEncoding.EncodeToString(r.certificate)
		if want := base64.RawURLEncoding.EncodeToString(fingerprint(certificate)); cnf["x5t#S256"] != want || shown != want {
			t.Errorf("the token belongs to %v, and the certificate %s is shown; want %s", cnf, shown, want)
		}
		if claims["sub"] != "clawdbot" || seen[claims["jti"]] {
			t.Errorf("claims are %v", claims)
		}
		seen[claims["jti"]] = true
	}
	expect(first)
	expect(first)
	// a new certificate is shown with the next reload, and tokens must not be ahead of it
	s.writeClient(second)
	expect(first)
	s.reload()
	expect(second)
}

func TestASecretThatChangesCountsAtTheSidecar(t *testing.T) {
	ca := newAuthority(t, "internal CA")
	upstream := newStub(t, ca)
	s := startSidecar(t, upstream.Listener.Addr().String(), ca, ca.leaf(t, "clawdbot"))
	const newSecret = "another-secret-of-the-integration-tests-ABCDEFGH"
	writeFile(t, s.file("jwt.key"), []byte(newSecret+"\n"))
	begun := time.Now()
	await(t, "a token of the new secret", func() error {
		if _, err := s.post("127.0.0.1", unchanged); err != nil {
			return err
		}
		compact, _ := strings.CutPrefix((<-upstream.requests).header.Get("Authorization"), "Bearer ")
		_, err := jwt.Parse(compact, func(*jwt.Token) (any, error) { return []byte(newSecret), nil })
		return err
	})
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestTheSidecarSpeaksOpenAIWhenTheGatewayIsGone(t *testing.T) {
	ca := newAuthority(t, "internal CA")
	s := startSidecar(t, "127.0.0.1:"+freePort(t), ca, ca.leaf(t, "clawdbot"))
	a, err := s.post("127.0.0.1", unchanged)
	if err != nil || a.status != 502 || a.errorCode() != "upstream_error" {
		t.Errorf("got %d %s (%v)", a.status, a.body, err)
	}
	a, err = s.post("127.0.0.1", func(r *http.Request) {
		r.Header.Set("Expect", "100-continue") // or the answer may be lost with the connection
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 10_000_001))), 10_000_001
	})
	if err != nil || a.status != 413 || a.errorCode() != "request_too_large" {
		t.Errorf("too large a request: got %d %s (%v)", a.status, a.body, err)
	}
}

// A gateway with another CA could be anybody.
func TestTheSidecarTrustsOnlyItsGateway(t *testing.T) {
	ca := newAuthority(t, "internal CA")
	other := newAuthority(t, "internal CA")
	upstream := newStub(t, other)
	s := startSidecar(t, upstream.Listener.Addr().String(), ca, other.leaf(t, "clawdbot"))
	if a, err := s.post("127.0.0.1", unchanged); err != nil || a.status != 502 {
		t.Errorf("got %d %s (%v)", a.status, a.body, err)
	}
	if n := len(upstream.requests); n > 0 {
		t.Errorf("the stranger got %d requests", n)
	}
}

func TestABotThatLeavesStopsTheModelThroughItsSidecar(t *testing.T) {
	pace := make(chan struct{}, 1)
	upstream := ollamatest.NewServer(ollamatest.Model{Name: "hello", Answer: func(ollama.ChatRequest) ollamatest.Answer {
		return ollamatest.Answer{Content: []string{"one", " two", " three"}, Pace: pace}
	}})
	t.Cleanup(upstream.Close)
	g := startGateway(t, upstream.Address())
	s := startSidecar(t, g.address(), g.ca, g.client)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	bot := s.bot()
	pace <- struct{}{} // for the first word
	stream := bot.Chat.Completions.NewStreaming(ctx, ask("hello"))
	for stream.Next() {
		if chunk := stream.Current(); len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content == "one" {
			cancel() // it has come at once, though there is no second
		}
	}
	checkRecord(t, g.records(1)[0], record{"event.reason": "client_gone", "http.response.status_code": 499, "user.id": "clawdbot"})
}
