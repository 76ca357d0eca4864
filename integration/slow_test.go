package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// A request that comes drop by drop ends, and gives its slot back.
func TestABodyThatDoesNotComeHoldsNoSlot(t *testing.T) {
	upstream := scripted(t)
	g := prepareGateway(t, upstream.Address())
	g.caddyfile = strings.NewReplacer("read_body_idle 10s", "read_body_idle 1s", "concurrency 200", "concurrency 1").Replace(g.caddyfile)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())

	conn, err := tls.Dial("tcp", g.address(), &tls.Config{RootCAs: g.ca.pool(), ServerName: host, Certificates: []tls.Certificate{g.client}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{",
		host, tokenFor(t, "slow"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 408 || !strings.Contains(string(body), "too slowly") {
		t.Errorf("got %s %s", resp.Status, body)
	}
	checkRecord(t, g.recordWith("user.id", "slow"), record{"http.response.status_code": 408, "event.reason": "bad_request"})
	if a := g.mustPost(g.from("127.0.0.3"), tokenFor(t, "bot"), chatBody("hello", false)); a.status != 200 {
		t.Errorf("the one slot is not free again: %d %s", a.status, a.body)
	}
	if n := len(upstream.Requests()); n != 1 {
		t.Errorf("Ollama got %d requests", n)
	}
}

// The timeouts are per operation: a stream that says nothing for longer than any of
// them goes on.
func TestASilentStreamIsNoSlowClient(t *testing.T) {
	upstream := ollamatest.NewServer(ollamatest.Model{Name: "hello", Answer: func(ollama.ChatRequest) ollamatest.Answer {
		return ollamatest.Answer{Content: []string{"one", " two"}, Interval: 2 * time.Second}
	}})
	t.Cleanup(upstream.Close)
	g := prepareGateway(t, upstream.Address())
	g.caddyfile = strings.NewReplacer("read_body_idle 10s", "read_body_idle 1s", "write_idle 60s", "write_idle 1s").Replace(g.caddyfile)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	for name, http2 := range map[string]bool{"over HTTP/1.1": false, "over HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			client := g.from("127.0.0.2")
			client.Transport.(*http.Transport).ForceAttemptHTTP2 = http2
			s := g.stream(client, tokenFor(t, "bot"), chatBody("hello", true))
			var text strings.Builder
			for data, ok := s.next(); ok && data != "[DONE]"; data, ok = s.next() {
				if content := s.decode(data).Choices[0].Delta.Content; content != nil {
					text.WriteString(*content)
				}
			}
			if text.String() != "one two" {
				t.Errorf("said %q", text.String())
			}
		})
	}
}
