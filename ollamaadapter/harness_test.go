package ollamaadapter_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/permit"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// gateway is a server with the handler ollama_adapter, Caddy's own reverse_proxy
// behind it, and openai_error for what goes wrong.
type gateway struct {
	URL     string
	address string
	version string // of HTTP
	client  *http.Client
	endings chan ending
	// cancels cancel the requests, in the order of their coming, as an operator does.
	cancels chan func()
	lives   chan *record.Live // what may be seen of them
}

// ending is what a request came to inside the gateway.
type ending struct {
	*record.Record
	status int
	err    error
}

// The versions of HTTP that a gateway may speak, as http.Response.Proto has them.
const (
	http1 = "HTTP/1.1"
	http2 = "HTTP/2.0"
)

// inFront starts a gateway in front of the upstream at address.
func inFront(t *testing.T, adapter ollamaadapter.Handler, address string) *gateway {
	t.Helper()
	return inFrontOver(t, http1, adapter, address)
}

// provisioning is done by one at a time, as Caddy does it: tests may run in parallel.
var provisioning sync.Mutex

// inFrontOver does the same for a gateway that is spoken with in this version of HTTP.
func inFrontOver(t *testing.T, version string, adapter ollamaadapter.Handler, address string) *gateway {
	t.Helper()
	return inFrontOf(t, version, adapter, map[string]any{
		"transport": map[string]string{"protocol": "http"},
		"upstreams": []map[string]string{{"dial": address}},
	})
}

// inFrontOf does the same with this configuration of reverse_proxy.
func inFrontOf(t *testing.T, version string, adapter ollamaadapter.Handler, proxying map[string]any) *gateway {
	t.Helper()
	return inFrontLogging(t, discarded, version, adapter, proxying)
}

// inFrontLogging does the same with this log writer.
func inFrontLogging(t *testing.T, writer, version string, adapter ollamaadapter.Handler, proxying map[string]any) *gateway {
	t.Helper()
	provisioning.Lock()
	defer provisioning.Unlock()
	ctx := loggingTo(t, writer)
	front := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.ollama_adapter", adapter)
	onError := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.openai_error", struct{}{})
	proxy := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.reverse_proxy", proxying)
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return proxy.ServeHTTP(w, r, nil)
	})
	g := &gateway{version: version, endings: make(chan ending, 1024), cancels: make(chan func(), 1024), lives: make(chan *record.Live, 1024)}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repl := caddy.NewReplacer()
		r = caddyhttp.PrepareRequest(r, repl, w, new(caddyhttp.Server))
		repl.Set("http.auth.user.id", r.Header.Get("Test-Subject"))
		rec := &record.Record{Start: time.Now()}
		g.lives <- rec.Watch()
		ctx, cancel := context.WithCancelCause(record.NewContext(r.Context(), rec))
		defer cancel(nil)
		r = r.WithContext(ctx)
		g.cancels <- func() { cancel(record.ErrCancelled) }
		if _, narrowed := r.Header["Test-Models"]; narrowed {
			r = r.WithContext(permit.WithModels(r.Context(), strings.Fields(r.Header.Get("Test-Models"))))
		}
		answer := caddyhttp.NewResponseRecorder(w, nil, nil)
		var err error
		defer func() { g.endings <- ending{rec, answer.Status(), err} }() // of an answer that is broken off, too
		if err = front.ServeHTTP(answer, r, next); err != nil {
			_ = onError.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), caddyhttp.ErrorCtxKey, err)), nil)
		}
	}))
	transport := &http.Transport{DisableCompression: true}
	if version == http2 {
		server.EnableHTTP2 = true
		server.StartTLS()
		transport = server.Client().Transport.(*http.Transport)
		transport.DisableCompression = true
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	t.Cleanup(transport.CloseIdleConnections)
	g.URL, g.address, g.client = server.URL, server.Listener.Addr().String(), &http.Client{Transport: transport}
	return g
}

// start starts a scripted Ollama and a gateway in front of it.
func start(t *testing.T, adapter ollamaadapter.Handler, models ...ollamatest.Model) (*gateway, *ollamatest.Server) {
	t.Helper()
	server := ollamatest.NewServer(models...)
	t.Cleanup(server.Close)
	return inFront(t, adapter, server.Address()), server
}

// answers is a model that gives the same answer to all.
func answers(answer ollamatest.Answer) ollamatest.Model {
	return ollamatest.Model{Name: "m", Answer: func(ollama.ChatRequest) ollamatest.Answer { return answer }}
}

// caddyContext is a configuration of Caddy's that ends with the test.
func caddyContext(t testing.TB) caddy.Context {
	t.Helper()
	return loggingTo(t, discarded)
}

const discarded = `{"output":"discard"}`

// loggingTo is a configuration of Caddy's with this log writer.
func loggingTo(t testing.TB, writer string) caddy.Context {
	t.Helper()
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": storageDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	root, err := caddy.ProvisionContext(&caddy.Config{StorageRaw: storage, Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(writer)}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(root)
	t.Cleanup(cancel)
	return ctx
}

// storageDir is a storage for Caddy in which there is a key to name conversations by.
// To make one Caddy's storage would be locked, and a goroutine left behind for seconds.
func storageDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "caddy_ollama"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "caddy_ollama", "conversation.key"), []byte(strings.Repeat("0f", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// load loads a module from its JSON, as Caddy does.
func load[T any](t testing.TB, ctx caddy.Context, id string, config any) T {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	module, err := ctx.LoadModuleByID(id, raw)
	if err != nil {
		t.Fatal(err)
	}
	return module.(T)
}

// ended waits until a request has come to its end inside the gateway.
func (g *gateway) ended(t *testing.T) ending {
	t.Helper()
	return within(t, g.endings, "the end of the request")
}

// within takes what a channel gives, if it gives it in time.
func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// arrived waits for the first chat request to reach Ollama.
func arrived(t *testing.T, server *ollamatest.Server) *ollamatest.Request {
	t.Helper()
	first := make(chan *ollamatest.Request, 1)
	go func() { first <- server.WaitFor(1) }()
	return within(t, first, "the request at Ollama")
}

// post sends a chat request. Headers are pairs of names and values.
func (g *gateway) post(t *testing.T, body string, headers ...string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return g.do(t, ctx, http.MethodPost, "/v1/chat/completions", body, headers...)
}

func (g *gateway) do(t *testing.T, ctx context.Context, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// read reads an answer to its end, which it must have.
func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("after %q: %v", body, err)
	}
	return string(body)
}

// saying is a chat request of one word with these fields besides.
func saying(fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return `{"model":"m","messages":[{"role":"user","content":"hi"}]` + fields + `}`
}

// reader reads the events of a stream one by one.
type reader struct{ lines *bufio.Reader }

func eventsOf(resp *http.Response) reader { return reader{bufio.NewReader(resp.Body)} }

// next is the data of the next event, or "" at the end of the stream.
func (r reader) next(t *testing.T) string {
	t.Helper()
	line, err := r.lines.ReadString('\n')
	if err == io.EOF && line == "" {
		return ""
	}
	blank, errBlank := r.lines.ReadString('\n')
	data, ok := strings.CutPrefix(line, "data: ")
	if err != nil || errBlank != nil || blank != "\n" || !ok {
		t.Fatalf("event %q%q, %v, %v", line, blank, err, errBlank)
	}
	return strings.TrimSuffix(data, "\n")
}

// story is what the rest of the stream says: roles, texts, finish reasons,
// errors and [DONE], short enough for tables.
func (r reader) story(t *testing.T) []string {
	t.Helper()
	var out []string
	for data := r.next(t); data != ""; data = r.next(t) {
		out = append(out, told(t, data))
	}
	return out
}

// told is what one event says.
func told(t *testing.T, data string) string {
	t.Helper()
	if data == "[DONE]" {
		return data
	}
	var event struct {
		Choices []struct {
			Delta struct {
				Role, Content string
			}
			FinishReason string `json:"finish_reason"`
		}
		Usage *struct {
			TotalTokens int `json:"total_tokens"`
		}
		Error *struct{ Code string }
	}
	if err := json.Unmarshal([]byte(data), &event); err != nil {
		t.Fatalf("event %q: %v", data, err)
	}
	switch {
	case event.Error != nil:
		return "error " + event.Error.Code
	case event.Usage != nil:
		return "usage"
	case len(event.Choices) != 1:
		t.Fatalf("event %q", data)
	case event.Choices[0].FinishReason != "":
		return "finish " + event.Choices[0].FinishReason
	case event.Choices[0].Delta.Role != "":
		return "role " + event.Choices[0].Delta.Role
	}
	return event.Choices[0].Delta.Content
}

// failure reads an answer that is an error, in the shape that SDKs read.
func failure(t *testing.T, resp *http.Response) (param, code string) {
	t.Helper()
	body := read(t, resp)
	var object struct {
		Error struct {
			Message     *string
			Type        *string
			Param, Code *string
		}
	}
	if err := json.Unmarshal([]byte(body), &object); err != nil || object.Error.Message == nil || object.Error.Type == nil {
		t.Fatalf("%s is no error answer: %q", resp.Status, body)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if strings.Contains(body, canary) {
		t.Errorf("the error passes on what it must not: %s", body)
	}
	if object.Error.Param != nil {
		param = *object.Error.Param
	}
	if object.Error.Code != nil {
		code = *object.Error.Code
	}
	return param, code
}

// canary stands in what no error may pass on.
const canary = "CANARY"
