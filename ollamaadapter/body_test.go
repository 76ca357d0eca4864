package ollamaadapter_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestRefusedBodiesNeverReachOllama(t *testing.T) {
	g, server := start(t, ollamaadapter.Handler{MaxBody: 1000}, ollamatest.Says("m", "hi"))
	large := saying(`"user":"` + strings.Repeat("x", 1000) + `"`)
	for _, test := range []struct {
		name, body  string
		chunked     bool
		headers     []string
		status      int
		param, code string
	}{
		{"too large by its own length", large, false, nil, 413, "", "request_too_large"},
		{"too large, as it turns out", large, true, nil, 413, "", "request_too_large"},
		{"too large by one byte", strings.Repeat(" ", 1001), true, nil, 413, "", "request_too_large"},
		{"compressed", saying(""), false, []string{"Content-Encoding", "gzip"}, 415, "", "unsupported_parameter"},
		{"compressed in another way", saying(""), false, []string{"Content-Encoding", "br"}, 415, "", "unsupported_parameter"},
		{"empty", "", false, nil, 400, "", "invalid_json"},
		{"no JSON", "CANARY", false, nil, 400, "", "invalid_json"},
		{"two requests in one", saying("") + saying(""), false, nil, 400, "", "invalid_json"},
		{"a wrong type", saying(`"temperature":"CANARY"`), false, nil, 400, "temperature", "invalid_type"},
		{"a wrong value", saying(`"temperature":3`), false, nil, 400, "temperature", "invalid_value"},
		{"something Ollama cannot do", saying(`"logit_bias":{"1":2}`), false, nil, 400, "logit_bias", "unsupported_parameter"},
		{"no messages", `{"model":"m","messages":[]}`, false, nil, 400, "messages", "missing_required_parameter"},
		{"no model", `{"messages":[{"role":"user"}]}`, false, nil, 400, "model", "missing_required_parameter"},
		{"an image elsewhere", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":"http://CANARY/"}]}]}`, false, nil, 400, "messages", "invalid_value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var body io.Reader = strings.NewReader(test.body)
			if test.chunked {
				body = io.MultiReader(body) // whose length net/http does not know
			}
			req, err := http.NewRequestWithContext(t.Context(), "POST", g.URL+"/v1/chat/completions", body)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(test.headers); i += 2 {
				req.Header.Set(test.headers[i], test.headers[i+1])
			}
			resp, err := g.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if param, code := failure(t, resp); resp.StatusCode != test.status || param != test.param || code != test.code {
				t.Errorf("%s, param %q, code %q; want %d, %q, %q", resp.Status, param, code, test.status, test.param, test.code)
			}
		})
	}
	if got := server.Requests(); len(got) > 0 {
		t.Errorf("Ollama got %d requests", len(got))
	}
}

func TestBodiesThatAreTaken(t *testing.T) {
	for _, test := range []struct {
		name, body string
		headers    []string
	}{
		{"exactly as large as allowed", saying("") + strings.Repeat(" ", 1000-len(saying(""))), nil},
		{"not compressed, and said so", saying(""), []string{"Content-Encoding", "identity"}},
		{"of no type at all, as of a careless client", saying(""), []string{"Content-Type", "text/plain"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := start(t, ollamaadapter.Handler{MaxBody: 1000}, ollamatest.Says("m", "hi"))
			if resp := g.post(t, test.body, test.headers...); resp.StatusCode != 200 {
				t.Errorf("%s: %s", resp.Status, read(t, resp))
			}
		})
	}
}

func TestTheDefaultMaxBodyIs10MB(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	for size, want := range map[int]int{10_000_000: 200, 10_000_001: 413} {
		body := saying("") + strings.Repeat(" ", size-len(saying("")))
		if resp := g.post(t, body); resp.StatusCode != want {
			t.Errorf("%d bytes: %s, want %d", size, resp.Status, want)
		}
	}
}

// A client that dies while it sends has left; it has made no mistake that it
// would have to be blocked for.
func TestAClientThatLeavesWhileItSends(t *testing.T) {
	for _, test := range []struct{ name, head, body string }{
		{"before the length it announced", "Content-Length: 1000", saying("")[:20]},
		{"within a chunk", "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s", 1000, saying("")[:20])},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, server := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
			conn, err := net.Dial("tcp", g.address)
			if err != nil {
				t.Fatal(err)
			}
			_, err = fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.example.com\r\nExpect: 100-continue\r\n%s\r\n\r\n", test.head)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
				t.Fatalf("read %q, %v", line, err) // now the gateway reads the body
			}
			if _, err := io.WriteString(conn, test.body); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if end := g.ended(t); end.Reason != record.ClientGone {
				t.Errorf("reason %q, status %d, error %v; want %q", end.Reason, end.status, end.err, record.ClientGone)
			}
			if got := server.Requests(); len(got) > 0 {
				t.Errorf("Ollama got %d requests", len(got))
			}
		})
	}
}
