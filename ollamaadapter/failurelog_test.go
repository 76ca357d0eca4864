package ollamaadapter_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/enginetest"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// logged is a gateway with a log, in front of the upstream at address. errors are the
// log's errors so far.
func logged(t *testing.T, adapter ollamaadapter.Handler, address string) (g *gateway, errors func() []string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	g = inFrontLogging(t, `{"output":"file","roll":false,"filename":"`+log+`"}`, http1, adapter, map[string]any{"upstreams": []map[string]string{{"dial": address}}})
	return g, func() (errors []string) {
		t.Helper()
		lines, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(lines), canary) {
			t.Errorf("the log quotes a conversation: %s", lines)
		}
		for line := range strings.Lines(string(lines)) {
			var entry struct{ Level, Error string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if entry.Level == "error" {
				errors = append(errors, entry.Error)
			}
		}
		return errors
	}
}

const (
	noMemory = "llama runner process has terminated: CUDA out of memory"
	quoting  = "its text may quote the conversation"
)

// The operator has to see why Ollama has failed, and the client must not.
func TestTheLogHasWhatTheUpstreamSaidOfItsFailure(t *testing.T) {
	type start func(*testing.T) (g *gateway, errors func() []string, address string)
	ollama := func(answer ollamatest.Answer) start {
		return func(t *testing.T) (*gateway, func() []string, string) {
			server := ollamatest.NewServer(answers(answer))
			t.Cleanup(server.Close)
			g, errors := logged(t, ollamaadapter.Handler{}, server.Address())
			return g, errors, server.Address()
		}
	}
	engine := func(kind enginetest.Kind, answer enginetest.Answer) start {
		return func(t *testing.T) (*gateway, func() []string, string) {
			server := enginetest.NewServer(kind, replies(answer))
			t.Cleanup(server.Close)
			g, errors := logged(t, ollamaadapter.Handler{Upstream: "openai"}, server.Address())
			return g, errors, server.Address()
		}
	}
	for _, test := range []struct {
		name   string
		start  start
		fields string
		status int
		want   string // of the log, behind the address; empty if it says nothing
	}{
		{"a failure", ollama(ollamatest.Answer{Status: 500, Error: noMemory}), "", 502, ": status 500: " + noMemory},
		{"a stream that does not begin", ollama(ollamatest.Answer{Status: 500, Error: noMemory}), `"stream":true`, 502, ": status 500: " + noMemory},
		{"a text that may be the model's", ollama(ollamatest.Answer{Status: 500, Error: "error parsing tool call: raw='" + canary + "'"}), "", 502, ": status 500: " + quoting},
		{"a mistake of ours", ollama(ollamatest.Answer{Status: 401, Error: canary}), "", 502, ": status 401: " + quoting},
		{"a request that is refused", ollama(ollamatest.Answer{Status: 400, Error: canary}), "", 400, ""},
		{"an error line in the midst of a stream", ollama(ollamatest.Answer{Content: []string{"a", "b"}, Fault: ollamatest.ErrorLine, FaultAt: 1}), `"stream":true`, 200, ": an error was encountered while running the model"},
		{"an error line in an answer that is gathered", ollama(ollamatest.Answer{Content: []string{"a", "b"}, Fault: ollamatest.ErrorLine, FaultAt: 1}), "", 502, ": an error was encountered while running the model"},
		{"a stream that is cut off", ollama(ollamatest.Answer{Content: []string{"a", "b"}, Fault: ollamatest.Cut, FaultAt: 1}), `"stream":true`, 200, ""},
		{"a failure of vLLM's", engine(enginetest.VLLM, enginetest.Answer{Status: 500, Error: "EngineCore encountered an issue."}), "", 502, ": status 500: EngineCore encountered an issue."},
		{"a failure of llama.cpp's that may be the model's words", engine(enginetest.LlamaCpp, enginetest.Answer{Status: 500, Error: "Failed to parse input at pos 3: " + canary}), "", 502, ": status 500: " + quoting},
		{"an error event of TGI's", engine(enginetest.TGI, enginetest.Answer{Status: 500, Error: "CUDA out of memory", Content: []string{"a", "b"}, ErrorAfter: 1}), `"stream":true`, 200, ": CUDA out of memory"},
		{"an error event that says that there is too much to do", engine(enginetest.TGI, enginetest.Answer{Status: 503, Error: "Model is overloaded", Content: []string{"a", "b"}, ErrorAfter: 1}), `"stream":true`, 200, ": Model is overloaded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, errors, address := test.start(t)
			resp := g.post(t, saying(test.fields))
			body := read(t, resp)
			if resp.StatusCode != test.status {
				t.Errorf("got %s: %s", resp.Status, body)
			}
			for _, inner := range []string{address, "memory", "encountered", "EngineCore", "Model is", canary} {
				if strings.Contains(body, inner) {
					t.Errorf("the client is told %q in %s", inner, body)
				}
			}
			g.ended(t)
			got := errors()
			switch {
			case test.status < 500 && test.status != http.StatusOK:
				if len(got) > 0 {
					t.Errorf("the log says %q", got)
				}
			case len(got) != 1 || !strings.Contains(got[0], address+test.want):
				t.Errorf("the log says %q, want one error with %q", got, address+test.want)
			}
		})
	}
	t.Run("a list of models that cannot be had", func(t *testing.T) {
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"error":"` + noMemory + `"}`))
		}))
		t.Cleanup(upstream.Close)
		server := upstream.Listener.Addr().String()
		g, errors := logged(t, ollamaadapter.Handler{}, server)
		resp := g.do(t, t.Context(), http.MethodGet, "/v1/models", "")
		if body := read(t, resp); resp.StatusCode != 502 || strings.Contains(body, "memory") {
			t.Errorf("got %s: %s", resp.Status, body)
		}
		g.ended(t)
		if got := errors(); len(got) != 1 || !strings.Contains(got[0], "/api/tags: "+server+": status 500: "+noMemory) {
			t.Errorf("the log says %q", got)
		}
	})
}

// What the operator has ended is no failure to tell him of.
func TestTheLogHasNothingOfAStreamThatTheOperatorEnds(t *testing.T) {
	pace := make(chan struct{})
	server := ollamatest.NewServer(answers(ollamatest.Answer{Content: []string{"one", "two"}, Pace: pace}))
	t.Cleanup(server.Close)
	g, errors := logged(t, ollamaadapter.Handler{}, server.Address())
	go func() { pace <- struct{}{} }()
	resp := g.post(t, saying(`"stream":true`))
	if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	g.cancel(t)
	if body := read(t, resp); !strings.Contains(body, `"code":"cancelled"`) {
		t.Errorf("the stream ends with %s", body)
	}
	wasCancelled(t, g, arrived(t, server))
	if got := errors(); len(got) > 0 {
		t.Errorf("the log says %q", got)
	}
}
