package ollamatest_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// start starts a scripted Ollama and a client whose connections end with the test.
func start(t *testing.T, models ...ollamatest.Model) (*ollamatest.Server, *http.Client) {
	t.Helper()
	server := ollamatest.NewServer(models...)
	t.Cleanup(server.Close)
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return server, &http.Client{Transport: transport}
}

func answers(name string, answer ollamatest.Answer) ollamatest.Model {
	return ollamatest.Model{Name: name, Answer: func(ollama.ChatRequest) ollamatest.Answer { return answer }}
}

func ask(ctx context.Context, t *testing.T, client *http.Client, url, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/chat", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAnswersOfAModel(t *testing.T) {
	answer := ollamatest.Answer{
		Thinking: []string{"hm"}, Content: []string{"hel", "lo"}, PromptTokens: 7,
		ToolCalls: []ollama.ToolCall{{Function: ollama.FunctionCall{Name: "f", Arguments: []byte(`{"z":1,"a":2}`)}}},
	}
	const call = `"tool_calls":[{"function":{"index":0,"name":"f","arguments":{"z":1,"a":2}}}]`
	for _, test := range []struct {
		name, body, contentType string
		want                    []string
	}{
		{"a stream has a line for each piece and a final one with the counts",
			asking(true), "application/x-ndjson", []string{
				`{"model":"m","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}`,
				`{"model":"m","message":{"role":"assistant","content":"hel"},"done":false}`,
				`{"model":"m","message":{"role":"assistant","content":"lo"},"done":false}`,
				`{"model":"m","message":{"role":"assistant","content":"",` + call + `},"done":false}`,
				`{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":4}`,
			}},
		{"a whole answer has all of it in one object",
			asking(false), "application/json; charset=utf-8", []string{
				`{"model":"m","message":{"role":"assistant","content":"hello","thinking":"hm",` + call + `},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":4}`,
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, answers("m", answer))
			resp := ask(t.Context(), t, client, server.URL, test.body)
			if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != test.contentType {
				t.Errorf("%s, content type %q", resp.Status, got)
			}
			if got := strings.Split(strings.TrimSpace(read(t, resp)), "\n"); !slices.Equal(got, test.want) {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(test.want, "\n     "))
			}
			<-server.WaitFor(1).Ended()
			if server.Requests()[0].Cancelled() {
				t.Error("the caller is said to have left")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name, host, origin, body string
		status                   int
		want                     string
	}{
		{"a host of elsewhere gets an empty 403", "gateway.example.com", "", asking(true), 403, ""},
		{"an origin gets an empty 403", "", "https://example.com", asking(true), 403, ""},
		{"a model that is not there", "", "", `{"model":"x"}`, 404, `{"error":"model 'x' not found"}`},
		{"a model in capitals is another", "", "", `{"model":"M"}`, 404, `{"error":"model 'M' not found"}`},
		{"a body that is no JSON", "", "", `{`, 400, ``},
		{"localhost may ask", "localhost:11434", "", asking(true), 200, ``},
		{"a private address may ask", "10.0.0.1:11434", "", asking(true), 200, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, ollamatest.Says("m", "hi"))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/chat", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Host = test.host
			if test.origin != "" {
				req.Header.Set("Origin", test.origin)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body := read(t, resp)
			if resp.StatusCode != test.status || test.want != "" && body != test.want {
				t.Errorf("%s: %s", resp.Status, body)
			}
			if test.status == 403 && (body != "" || len(server.Requests()) > 0) {
				t.Errorf("403 with body %q after %d requests", body, len(server.Requests()))
			}
		})
	}
}

func TestScriptedErrors(t *testing.T) {
	t.Run("a status with a text", func(t *testing.T) {
		server, client := start(t, answers("m", ollamatest.Answer{Status: 503, Error: "server busy"}))
		resp := ask(t.Context(), t, client, server.URL, asking(true))
		if got := read(t, resp); resp.StatusCode != 503 || got != `{"error":"server busy"}` {
			t.Errorf("%s: %s", resp.Status, got)
		}
	})
	t.Run("raw text, then the connection is cut", func(t *testing.T) {
		server, client := start(t, answers("m", ollamatest.Answer{Raw: []string{"no ", "JSON"}, Cut: true}))
		resp := ask(t.Context(), t, client, server.URL, asking(true))
		got, err := io.ReadAll(resp.Body)
		if string(got) != "no JSON" || err == nil {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

func TestACallerThatLeavesIsNoticed(t *testing.T) {
	pace := make(chan struct{})
	server, client := start(t, answers("m", ollamatest.Answer{Content: []string{"a", "b"}, Pace: pace}))
	ctx, leave := context.WithCancel(t.Context())
	go func() { pace <- struct{}{} }()
	resp := ask(ctx, t, client, server.URL, asking(true))
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || !strings.Contains(line, `"a"`) {
		t.Fatalf("read %q, %v", line, err)
	}
	req := server.WaitFor(1)
	select {
	case <-req.Ended():
		t.Fatal("ended before the caller left")
	default:
	}
	leave()
	select {
	case <-req.Ended():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed that the caller left")
	}
	if !req.Cancelled() {
		t.Error("not cancelled")
	}
}

func TestModelsAreListed(t *testing.T) {
	server, client := start(t, ollamatest.Says("a:latest"), ollamatest.Says("b:7b"))
	resp, err := client.Get(server.URL + "/api/tags")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := read(t, resp)
	if a, b := strings.Index(body, `"name":"a:latest"`), strings.Index(body, `"name":"b:7b"`); a < 0 || b < a {
		t.Errorf("got %s", body)
	}
}

func TestWhatAHealthCheckSees(t *testing.T) {
	server, client := start(t)
	for path, want := range map[string]string{
		"/":            "Ollama is running",
		"/api/version": `{"version":"` + ollamatest.Version + `"}`,
		"/api/ps":      `{"models":[]}`,
	} {
		t.Run(path, func(t *testing.T) {
			resp, err := client.Get(server.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := read(t, resp); resp.StatusCode != 200 || got != want {
				t.Errorf("%s: %s", resp.Status, got)
			}
		})
	}
}
