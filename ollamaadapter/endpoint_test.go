package ollamaadapter_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// witness is an upstream that keeps every request it gets, of any kind.
type witness struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []*http.Request
	bodies []string
}

// catalogued are the questions that the adapter asks by itself, and answers to
// them. What it asks is of no client's making, so a witness does not count it.
var catalogued = map[string]string{
	"GET /api/version": `{"version":"0.33.0"}`,
	"GET /api/tags":    `{"models":[{"name":"m","modified_at":"2023-11-14T22:13:20Z","digest":"d"}]}`,
	"POST /api/show":   `{}`,
}

// watch starts a witness that answers all requests with answer.
func watch(t *testing.T, answer http.HandlerFunc) *witness {
	t.Helper()
	w := new(witness)
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if known, ok := catalogued[r.Method+" "+r.RequestURI]; ok {
			_, _ = io.WriteString(rw, known)
			return
		}
		body, _ := io.ReadAll(r.Body) // the trailers come after it
		w.mu.Lock()
		w.seen = append(w.seen, r.Clone(r.Context()))
		w.bodies = append(w.bodies, string(body))
		w.mu.Unlock()
		answer(rw, r)
	}))
	t.Cleanup(func() {
		w.CloseClientConnections()
		w.Close()
	})
	return w
}

// requests are what has reached the upstream, as METHOD target.
func (w *witness) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, r := range w.seen {
		out = append(out, r.Method+" "+r.RequestURI)
	}
	return out
}

func (w *witness) address() string { return w.Listener.Addr().String() }

// anything answers any of Ollama's requests.
func anything(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, `{"message":{"content":"hi"},"done":true,"embeddings":[[1,2]]}`)
}

// raw sends a request whose target is not touched by any client on its way.
func raw(t *testing.T, g *gateway, method, target, body string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	request := method + " " + target + " HTTP/1.1\r\nHost: gateway.example.com\r\nConnection: close\r\n"
	if body != "" {
		request += fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n", len(body), body)
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestServedPaths(t *testing.T) {
	for _, test := range []struct{ name, method, target, body, want string }{
		{"chat", "POST", "/v1/chat/completions", saying(""), "POST /api/chat"},
		{"chat without /v1, as OpenClaw asks", "POST", "/chat/completions", saying(""), "POST /api/chat"},
		{"chat with a query, which goes no further", "POST", "/v1/chat/completions?api-version=1&model=x", saying(""), "POST /api/chat"},
		{"chat with the gateway's whole URL, as to a proxy", "POST", "http://gateway.example.com/v1/chat/completions", saying(""), "POST /api/chat"},
		{"embeddings", "POST", "/v1/embeddings", `{"model":"m","input":"hi"}`, "POST /api/embed"},
		{"embeddings without /v1", "POST", "/embeddings", `{"model":"m","input":"hi"}`, "POST /api/embed"},
		{"models, of which the adapter knows already", "GET", "/v1/models", "", ""},
		{"models without /v1", "GET", "/models", "", ""},
		{"models with a query", "GET", "/v1/models?limit=1", "", ""},
		{"models with a body, which goes no further", "GET", "/v1/models", "x", ""},
		{"one model", "GET", "/v1/models/m", "", ""},
		{"one model without /v1", "GET", "/models/m:latest", "", ""},
		{"one model whose name is escaped more than it need be", "GET", "/v1/models/%6d", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			upstream := watch(t, anything)
			g := inFront(t, ollamaadapter.Handler{CoalesceLoads: new(bool)}, upstream.address())
			resp := raw(t, g, test.method, test.target, test.body)
			if body := read(t, resp); resp.StatusCode != 200 {
				t.Errorf("%s: %s", resp.Status, body)
			}
			if got := strings.Join(upstream.requests(), ", "); got != test.want {
				t.Errorf("the upstream got %q, want %q", got, test.want)
			}
		})
	}
}

func TestOtherPathsNeverReachOllama(t *testing.T) {
	upstream := watch(t, anything)
	g := inFront(t, ollamaadapter.Handler{}, upstream.address())
	for _, target := range []string{
		"/", "/v1", "/v1/", "//", "/api/chat", "/api/generate", "/api/tags", "/api/pull", "/api/delete", "/api/push",
		"/api/create", "/api/copy", "/api/blobs/sha256:0", "/api/show", "/api/ps", "/api/version", "/v1/api/pull",
		"/v1/../api/pull", "/v1/chat/completions/../../../api/pull", "/v1/%2e%2e/api/pull", "/v1/..%2fapi%2fpull",
		"/v1/%63hat/completions", "/v1/chat%2fcompletions", "/%761/models", "/v1/models%00", "/v1/models%20",
		"/v1/chat/completions/", "/v1/models/", "/v1//chat/completions", "//v1/chat/completions", "/v1/chat//completions",
		"/v1/chat/completions;x", "/v1/models;x=1", "/v1/./models", "/v1/v1/models", "/v1models", "/v1chat/completions",
		"/V1/models", "/v1/Models", "/v1/chat/completions.json", `/v1\models`, "/v1/completions/", "/v1/embeddings/", "/v1/%65mbeddings", "/v2/models",
		"http://127.0.0.1:11434/api/pull",
	} {
		t.Run(target, func(t *testing.T) {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				resp := raw(t, g, method, target, "")
				if strings.Contains(target, "/api/") {
					// in whose dialect the error is does not matter here
					if resp.StatusCode != 404 {
						t.Errorf("%s: %s", method, resp.Status)
					}
					continue
				}
				if _, code := failure(t, resp); resp.StatusCode != 404 || code != "not_found" {
					t.Errorf("%s: %s, code %q", method, resp.Status, code)
				}
			}
		})
	}
	if got := upstream.requests(); len(got) > 0 {
		t.Errorf("the upstream got %q", got)
	}
}

func TestWrongMethodsNeverReachOllama(t *testing.T) {
	upstream := watch(t, anything)
	g := inFront(t, ollamaadapter.Handler{}, upstream.address())
	for _, test := range []struct{ path, allow string }{
		{"/v1/chat/completions", "POST"},
		{"/chat/completions", "POST"},
		{"/v1/models", "GET, HEAD"},
		{"/models", "GET, HEAD"},
		{"/v1/models/m", "GET, HEAD"},
		{"/v1/embeddings", "POST"},
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND"} {
			if slices.Contains(strings.Split(test.allow, ", "), method) {
				continue
			}
			t.Run(method+" "+test.path, func(t *testing.T) {
				resp := raw(t, g, method, test.path, "")
				if _, code := failure(t, resp); resp.StatusCode != 405 || code != "method_not_allowed" {
					t.Errorf("%s, code %q", resp.Status, code)
				}
				if got := resp.Header.Values("Allow"); !slices.Equal(got, []string{test.allow}) {
					t.Errorf("Allow: %q, want %q", got, test.allow)
				}
			})
		}
	}
	if got := upstream.requests(); len(got) > 0 {
		t.Errorf("the upstream got %q", got)
	}
}

// Health probes ask so. As errors they would have ip_throttle block who watches.
func TestHEADIsServedWhereGETIs(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{Native: true}, ollamatest.Says("m", "hi"))
	for path, want := range map[string]int{
		"/v1/models": 200, "/models": 200, "/v1/models/m": 200, "/api/tags": 200, "/api/ps": 200, "/api/version": 200,
		"/v1/models/x": 404, "/v1/chat/completions": 405, "/api/chat": 405, "/": 404,
	} {
		t.Run(path, func(t *testing.T) {
			get := g.do(t, t.Context(), http.MethodGet, path, "")
			read(t, get)
			resp := g.do(t, t.Context(), http.MethodHead, path, "")
			if body := read(t, resp); resp.StatusCode != want || body != "" {
				t.Errorf("%s, body %q, want %d", resp.Status, body, want)
			}
			for _, name := range []string{"Content-Type", "Content-Length", "Allow"} {
				if got, want := resp.Header.Get(name), get.Header.Get(name); got != want {
					t.Errorf("%s: %q, of GET %q", name, got, want)
				}
			}
		})
	}
}

func TestNamesThatAreNoModelsNeverReachOllama(t *testing.T) {
	upstream := watch(t, anything)
	g := inFront(t, ollamaadapter.Handler{}, upstream.address())
	for _, target := range []string{
		"/v1/models/..", "/v1/models/../../api/pull", "/v1/models/%2e%2e%2fapi%2fpull", "/v1/models//m", "/v1/models/x", "/v1/models/a%00b",
		"/v1/models/m;x", "/v1/models/big:cloud",
	} {
		t.Run(target, func(t *testing.T) {
			resp := raw(t, g, "GET", target, "")
			if _, code := failure(t, resp); resp.StatusCode != 404 || code != "model_not_found" {
				t.Errorf("%s, code %q", resp.Status, code)
			}
		})
	}
	if got := upstream.requests(); len(got) > 0 {
		t.Errorf("the upstream got %q", got)
	}
}
