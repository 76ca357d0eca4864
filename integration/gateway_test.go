package integration

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// host is the gateway's name in caddyfile-examples/gateway.Caddyfile.
const host = "ai-gw.example.com"

// gateway is caddyfile-examples/gateway.Caddyfile in force, with test
// credentials, on a loopback port.
type gateway struct {
	*process
	t         *testing.T
	dir       string
	port      string
	ca        *authority
	client    tls.Certificate
	caddyfile string
}

// startGateway runs the example in front of the upstream (host:port). Clients at
// 127.0.0.0/25 are on its allow-list; so a test can have many addresses, and
// strangers at 127.0.0.128 and above.
func startGateway(t *testing.T, upstream string) *gateway {
	t.Helper()
	g := prepareGateway(t, upstream)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	return g
}

// prepareGateway writes the gateway's files and starts nothing.
func prepareGateway(t *testing.T, upstream string) *gateway {
	t.Helper()
	dir, err := os.MkdirTemp(workDir, "g")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, dir: dir, port: freePort(t), ca: newAuthority(t, "internal CA")}
	g.client = g.ca.leaf(t, "clawdbot")
	server := g.ca.leaf(t, host, host, "localhost")
	writeCert(t, g.file("gw.crt"), server.Certificate[0])
	writeKey(t, g.file("gw.key"), server.PrivateKey)
	writeCert(t, g.file("internal-ca.crt"), g.ca.cert.Raw)
	writeFile(t, g.file("jwt.key"), []byte(jwtSecret+"\n"))

	example, err := os.ReadFile("../caddyfile-examples/gateway.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	g.caddyfile = strings.NewReplacer(
		"/etc/caddy-ollama", dir,
		"/run/caddy-ollama", dir,
		"/var/log/caddy-ollama", dir,
		"servers :18789", "servers 127.0.0.1:"+g.port,
		host+":18789, :18789 {", host+":"+g.port+", :"+g.port+" {\n\tbind 127.0.0.1",
		"10.0.0.5 10.0.0.6", "127.0.0.0/25",
		"127.0.0.1:11434", upstream,
		"qwen3:32b", "hello",
	).Replace(string(example))
	g.writeConfig(g.caddyfile)
	return g
}

func (g *gateway) file(name string) string { return filepath.Join(g.dir, name) }
func (g *gateway) configFile() string      { return g.file("Caddyfile") }
func (g *gateway) address() string         { return "127.0.0.1:" + g.port }
func (g *gateway) url(path string) string  { return "https://" + host + ":" + g.port + path }

func (g *gateway) writeConfig(caddyfile string) { writeFile(g.t, g.configFile(), []byte(caddyfile)) }

// reload puts the Caddyfile in force as an operator does.
func (g *gateway) reload(caddyfile string) error {
	g.writeConfig(caddyfile)
	return g.insist("caddy reload", func(ctx context.Context) error {
		output, err := gatewayCommandIn(ctx, g.t, g.dir, "reload", "--force", "--config", g.configFile(), "--adapter", "caddyfile",
			"--address", "unix//"+g.file("admin.sock")).CombinedOutput()
		if err != nil {
			return fmt.Errorf("caddy reload: %w\n%s", err, output)
		}
		return nil
	})
}

// from is an HTTP client with a certificate, at an address of its own and so
// with a throttle of its own.
func (g *gateway) from(source string) *http.Client {
	return g.clientWith(source, &tls.Config{RootCAs: g.ca.pool(), Certificates: []tls.Certificate{g.client}})
}

func (g *gateway) clientWith(source string, config *tls.Config) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	transport := &http.Transport{
		TLSClientConfig:       config,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   patience,
		ResponseHeaderTimeout: patience,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, g.address())
		},
	}
	g.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// chatBody is the body of a chat request.
func chatBody(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"hi"}]}`, model, stream)
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

// errorCode is the code of an error in OpenAI's shape.
func (a answer) errorCode() string {
	var body struct{ Error struct{ Code string } }
	_ = json.Unmarshal([]byte(a.body), &body)
	return body.Error.Code
}

// post sends a chat request with a token and reads the whole answer.
func (g *gateway) post(client *http.Client, token, body string) (answer, error) {
	req, err := g.request(g.t.Context(), token, body)
	if err != nil {
		return answer{}, err
	}
	return answerTo(client, req)
}

// answerTo sends a request and reads the whole answer.
func answerTo(client *http.Client, req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data)}, err
}

// mustPost is post where it cannot fail.
func (g *gateway) mustPost(client *http.Client, token, body string) answer {
	g.t.Helper()
	a, err := g.post(client, token, body)
	if err != nil {
		g.t.Fatal(err)
	}
	return a
}

func (g *gateway) request(ctx context.Context, token, body string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url("/v1/chat/completions"), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// record is one line of the audit log.
type record map[string]any

// records waits until there are n audit records and returns all there are.
func (g *gateway) records(n int) []record {
	g.t.Helper()
	var records []record
	await(g.t, fmt.Sprintf("%d audit records", n), func() error {
		data, err := os.ReadFile(g.file("audit.log"))
		if err != nil && n > 0 {
			return err
		}
		records = nil
		for line := range strings.Lines(string(data)) {
			if !strings.HasSuffix(line, "\n") {
				return errors.New("the last line is not complete")
			}
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				return err
			}
			r := make(record)
			r.take("", fields)
			if action, _ := r["event.action"].(string); !strings.HasPrefix(action, "audit-") { // the log's own lines
				records = append(records, r)
			}
		}
		if len(records) < n {
			return fmt.Errorf("there are %d", len(records))
		}
		return nil
	})
	return records
}

// take takes the fields of an object in, with their dotted names.
func (r record) take(prefix string, fields map[string]any) {
	for name, value := range fields {
		if inner, ok := value.(map[string]any); ok {
			r.take(prefix+name+".", inner)
		} else {
			r[prefix+name] = value
		}
	}
}

// recordOf waits for the record of the request that was answered with a.
func (g *gateway) recordOf(a answer) record {
	g.t.Helper()
	id := a.header.Get("X-Request-Id")
	if id == "" {
		g.t.Fatalf("answer %d has no X-Request-Id", a.status)
	}
	return g.recordWith("http.request.id", id)
}

// recordWith waits for the one record whose field has a value.
func (g *gateway) recordWith(field string, value any) record {
	g.t.Helper()
	var found []record
	await(g.t, fmt.Sprintf("an audit record with %s %v", field, value), func() error {
		found = nil
		for _, r := range g.records(0) {
			if r[field] == value {
				found = append(found, r)
			}
		}
		if len(found) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	if len(found) > 1 {
		g.t.Fatalf("%d audit records have %s %v", len(found), field, value)
	}
	return found[0]
}

// checkRecord compares fields of a record, numbers as JSON has them.
func checkRecord(t *testing.T, r record, want record) {
	t.Helper()
	for field, value := range want {
		if fmt.Sprint(r[field]) != fmt.Sprint(value) {
			t.Errorf("audit record: %s is %v, want %v (%v)", field, r[field], value, r)
		}
	}
	for _, field := range []string{"@timestamp", "event.duration", "event.sequence", "http.request.id", "source.ip", "url.path"} {
		if _, ok := r[field]; !ok {
			t.Errorf("audit record lacks %s: %v", field, r)
		}
	}
	if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(r["@timestamp"])); err != nil || time.Since(at) > time.Hour {
		t.Errorf("audit record: @timestamp is %v", r["@timestamp"])
	}
}
