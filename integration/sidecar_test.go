package integration

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// accessLog is the status and the reason of each request that the sidecar has logged,
// once there are so many.
func (s *sidecar) accessLog(n int) (lines []string) {
	s.t.Helper()
	await(s.t, "the access log", func() error {
		log, err := os.ReadFile(s.file("sidecar.log"))
		lines = nil
		for line := range strings.Lines(string(log)) {
			var entry struct {
				Status int
				Reason string
			}
			err = errors.Join(err, json.Unmarshal([]byte(line), &entry))
			lines = append(lines, fmt.Sprint(entry.Status, " ", entry.Reason))
		}
		if len(lines) < n {
			err = errors.Join(err, fmt.Errorf("%d lines", len(lines)))
		}
		return err
	})
	return lines
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

	var want []string
	for _, test := range []struct {
		name, source string
		change       func(*http.Request)
		reason       string // in the log, for whoever looks why a bot is not let in
	}{
		{"a stranger's address", "127.0.0.200", unchanged, "not from this host"},
		{"a website", "127.0.0.1", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }, "a website asks"},
		{"a page without origin", "127.0.0.1", func(r *http.Request) { r.Header.Set("Origin", "null") }, "a website asks"},
		{"a name that was made point here", "127.0.0.1", func(r *http.Request) { r.Host = "evil.example.com:" + s.port }, "under another name"},
		{"no name", "127.0.0.1", func(r *http.Request) { r.Host = "0.0.0.0" }, "under another name"},
	} {
		a, err := s.post(test.source, test.change)
		if err != nil || a.status != 403 || a.errorCode() != "forbidden" {
			t.Errorf("%s: got %d %s (%v)", test.name, a.status, a.body, err)
		}
		if strings.Contains(a.body, test.reason) {
			t.Errorf("%s: the caller is told %s", test.name, a.body)
		}
		want = append(want, "403 "+test.reason)
	}
	if got := s.accessLog(len(want)); !slices.Equal(got, want) {
		t.Errorf("the access log says %q, want %q", got, want)
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
