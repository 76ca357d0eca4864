package integration

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gateway18789/caddy-ollama/integration/realollama"
	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// severalBlock makes the example's one Ollama two, as the README has it.
func severalBlock(first, second string) []string {
	return []string{"reverse_proxy " + first, "reverse_proxy " + first + " " + second + ` {
			lb_policy ollama_model {
				poll 200ms
			}
			lb_retries 2
			lb_retry_match {
				method POST GET
			}
			request_buffers 10MB
			health_uri /api/version
			health_interval 1s
			fail_duration 10s
		}`}
}

// another starts a real Ollama of the test's own.
func another(t *testing.T) *realollama.Server {
	t.Helper()
	realOllama(t) // which finds it, or says why there is none
	bin, err := realollama.Find(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(workDir, "ollama")
	if err != nil {
		t.Fatal(err)
	}
	server, err := realollama.Start(t.Context(), bin, dir, scriptedmodel.Hello)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// pollsOf passes everything on to a real Ollama, and counts the polls.
func pollsOf(server *realollama.Server, polls *atomic.Int64) http.Handler {
	to, err := url.Parse(server.URL)
	if err != nil {
		panic(err) // it is our own
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(w, r)
		if r.URL.Path == "/api/ps" {
			polls.Add(1)
		}
	})
}

// loads reports whether a real Ollama has the model loaded.
func loads(t *testing.T, server *realollama.Server, model string) bool {
	t.Helper()
	resp, err := http.Get(server.URL + "/api/ps")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(body), model)
}

func TestTwoRealOllamasServeAsOne(t *testing.T) {
	first, second := another(t), another(t)
	var polls atomic.Int64
	counted := httptest.NewServer(pollsOf(second, &polls))
	t.Cleanup(counted.Close)
	g := startGatewayWith(t, upstreamOf(first), severalBlock(upstreamOf(first), counted.Listener.Addr().String())...)
	client := g.from("127.0.0.2")
	if _, _, tokens := native(t, second, chatBody("hello", false)); tokens == 0 {
		t.Fatal("the second does not answer")
	}
	// from the first question on they are polled
	if a := g.mustPost(client, tokenFor(t, "bot"), chatBody("unknown", false)); a.errorCode() != "model_not_found" {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	await(t, "two polls", func() error {
		if polls.Load() < 2 {
			return errors.New("there is one at most")
		}
		return nil
	})

	a := g.mustPost(client, tokenFor(t, "bot"), chatBody("hello", true))
	if got := said(t, a); got != scriptedmodel.HelloText {
		t.Errorf("says %q", got)
	}
	if loads(t, first, "hello") {
		t.Error("the first has loaded the model, which was loaded at the second")
	}

	t.Run("when one is gone the other takes over", func(t *testing.T) {
		counted.CloseClientConnections()
		counted.Close()
		second.Close()
		a := g.mustPost(client, tokenFor(t, "bot"), chatBody("hello", true))
		if got := said(t, a); got != scriptedmodel.HelloText {
			t.Errorf("says %q", got)
		}
		checkRecord(t, g.recordOf(a), record{"event.reason": "ok", "gen_ai.usage.output_tokens": scriptedmodel.Hello.Scripts[0].EvalCount()})
		if !loads(t, first, "hello") {
			t.Error("nobody has the model loaded")
		}
	})
}
