package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/enginetest"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestTwoHopsTellOneStory(t *testing.T) {
	tick := make(chan struct{})
	upstream := ollamatest.NewServer(counting(9, tick), ollamatest.Says("healthy", "I am well"),
		ollamatest.Model{Name: "small", Answer: func(ollama.ChatRequest) ollamatest.Answer {
			return ollamatest.Answer{Status: 400, Error: `{"error":{"code":400,"message":"request (20 tokens) exceeds the available context size","n_prompt_tokens":20,"n_ctx":10}}`}
		}},
		ollamatest.Model{Name: "stalling", Answer: func(ollama.ChatRequest) ollamatest.Answer {
			return ollamatest.Answer{Content: []string{"a", "b"}, Fault: ollamatest.Stall, FaultAt: 1}
		}},
	)
	t.Cleanup(upstream.Close)
	n := startNodesOnLoopback(t, upstream.Address(), "ollama_adapter {", "ollama_adapter {\n\t\t\tstall_timeout 300ms")
	both := func(t *testing.T, a answer, want record) {
		t.Helper()
		outer, inner := n.gateway.recordOf(a), n.adapter.recordOf(a) // by one X-Request-Id
		checkRecord(t, outer, want)
		checkRecord(t, inner, want)
		if id := outer["gen_ai.conversation.id"]; id == nil || id != inner["gen_ai.conversation.id"] {
			t.Errorf("the conversation is %v, then %v", id, inner["gen_ai.conversation.id"])
		}
		if outer["gen_ai.usage.input_tokens"] != inner["gen_ai.usage.input_tokens"] {
			t.Errorf("the prompt has %v tokens, then %v", outer["gen_ai.usage.input_tokens"], inner["gen_ai.usage.input_tokens"])
		}
	}
	client := n.gateway.from("127.0.0.2")

	t.Run("an answer", func(t *testing.T) {
		for _, stream := range []bool{true, false} {
			a := n.gateway.mustPost(client, tokenFor(t, "bot"), chatBody("healthy", stream))
			if got := said(t, a); got != "I am well" {
				t.Errorf("says %q", got)
			}
			both(t, a, record{"event.reason": "ok", "gen_ai.usage.output_tokens": 1, "source.ip": "127.0.0.2"})
		}
	})
	t.Run("a conversation that is too long, with its lengths", func(t *testing.T) {
		a := n.gateway.mustPost(client, tokenFor(t, "bot"), chatBody("small", true))
		if a.status != 400 || a.errorCode() != "context_length_exceeded" {
			t.Errorf("got %d %s", a.status, a.body)
		}
		both(t, a, record{"event.reason": "context_length_exceeded"})
	})
	t.Run("an answer that stalls", func(t *testing.T) {
		s := n.gateway.stream(n.gateway.from("127.0.0.3"), tokenFor(t, "bot"), chatBody("stalling", true))
		if got := s.nextContent(); got != "a" {
			t.Fatalf("begins with %q", got)
		}
		end, _ := s.next()
		if code := (answer{body: end}).errorCode(); code != "upstream_timeout" {
			t.Errorf("ends with %s", end)
		}
		if more, ok := s.next(); ok {
			t.Errorf("after its end comes %q", more)
		}
		both(t, answer{header: s.resp.Header}, record{"event.reason": "upstream_stalled", "labels.usage_estimated": true})
	})
	t.Run("a client that leaves", func(t *testing.T) {
		others := len(upstream.Requests())
		leaving := n.gateway.from("127.0.0.4")
		s := n.gateway.stream(startedBy(tick, leaving), tokenFor(t, "bot"), chatBody("hello", true))
		if got := s.nextContent(); got != "1 " {
			t.Fatalf("begins with %q", got)
		}
		request := arrived(t, upstream, others)
		s.resp.Body.Close()
		leaving.CloseIdleConnections()
		cancelled(t, request)
		both(t, answer{header: s.resp.Header}, record{"event.reason": "client_gone", "event.outcome": "unknown"})
	})
}

// The README's block, in front of a scripted vLLM.
func TestAnotherEngineByOneBlock(t *testing.T) {
	upstream := enginetest.NewServer(enginetest.VLLM, enginetest.Says("hello", "I ", "am ", "well"))
	t.Cleanup(upstream.Close)
	g := startGatewayWith(t, upstream.Address(), append(engineBlock,
		"reverse_proxy "+upstream.Address(), "reverse_proxy "+upstream.Address()+" {\n\t\t\theader_up Authorization \"Bearer {file.DIR/engine.key}\"\n\t\t}")...)
	writeFile(t, g.file("engine.key"), []byte("sk-engine\n"))
	if err := g.reload(strings.Replace(g.caddyfile, "DIR", g.dir, 1)); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []bool{true, false} {
		t.Run(fmt.Sprintf("stream %t", stream), func(t *testing.T) {
			a := g.mustPost(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", stream))
			if got := said(t, a); got != "I am well" {
				t.Errorf("says %q", got)
			}
			checkRecord(t, g.recordOf(a), record{"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 3})
		})
	}
	for _, request := range upstream.Requests() {
		if got := request.Header[http.CanonicalHeaderKey("Authorization")]; len(got) != 1 || got[0] != "Bearer sk-engine" {
			t.Errorf("the engine is shown %q", got)
		}
	}
}
