package ollamaadapter_test

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

const nativeChat = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`

func TestNativeEndpointsAreClosedUnlessAskedFor(t *testing.T) {
	g, server := start(t, ollamaadapter.Handler{}, library...)
	for _, path := range []string{"/api/chat", "/api/generate", "/api/embed", "/api/show"} {
		if resp := g.do(t, t.Context(), "POST", path, nativeChat); resp.StatusCode != 404 {
			t.Errorf("POST %s: %s", path, resp.Status)
		}
	}
	if len(server.Requests()) > 0 {
		t.Error("Ollama got a request")
	}
}

func TestNativeEndpointsThatNoConfigurationOpens(t *testing.T) {
	upstream := watch(t, anything)
	g := inFront(t, ollamaadapter.Handler{Native: true}, upstream.address())
	for _, path := range []string{
		"/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete", "/api/blobs/sha256:0", "/api/me", "/api/signout",
		"/api/experimental/web_fetch", "/api/embeddings", "/v1/api/chat", "/api/chat/", "/api//chat", "/api/%63hat", "/api/tags/../pull",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			if resp := raw(t, g, method, path, ""); resp.StatusCode != 404 {
				t.Errorf("%s %s: %s", method, path, resp.Status)
			}
		}
	}
	if got := upstream.requests(); len(got) > 0 {
		t.Errorf("the upstream got %q", got)
	}
}

func TestNativeChatIsHeldToTheRules(t *testing.T) {
	const options = "native on\nmodels m\nalias gpt-4o m\nkeep_alive 10m\ndefaults {\nnum_ctx 32768\n}\nlimits {\nnum_predict 100\n}"
	g, server := start(t, parsed(t, options), library...)
	resp := g.do(t, t.Context(), "POST", "/api/chat", `{"model":"gpt-4o","think":true,"keep_alive":-1,"options":{"num_ctx":512,"num_predict":-1,"top_k":5},"messages":[{"role":"user","content":"hi"}]}`)
	body := read(t, resp)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-ndjson" || strings.Count(body, "\n") != 2 ||
		!strings.Contains(body, `"content":"hi"`) || !strings.Contains(body, `"done":true`) {
		t.Errorf("%s %s: %s", resp.Status, resp.Header.Get("Content-Type"), body)
	}
	got := server.Requests()[0]
	if got.Model != "m" || *got.KeepAlive != 600 || got.Options["num_ctx"] != 32768.0 || got.Options["num_predict"] != 100.0 ||
		got.Options["top_k"] != 5.0 || got.Think != true || got.Truncate == nil || *got.Truncate {
		t.Errorf("Ollama got %+v", got.ChatRequest)
	}
	end := g.ended(t)
	if end.Operation != "chat" || end.RequestModel != "gpt-4o" || end.ResponseModel != "m" || !end.Stream || end.Usage == nil ||
		end.Usage.OutputTokens != 1 || end.Usage.Estimated || end.ConversationID == "" || end.TimeToFirstChunk <= 0 {
		t.Errorf("record %+v", end.Record)
	}

	for name, body := range map[string]string{
		"a model that is not allowed": `{"model":"jo/n:7b","messages":[{"role":"user","content":"hi"}]}`,
		"one in the cloud":            `{"model":"big:cloud","messages":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			resp := g.do(t, t.Context(), "POST", "/api/chat", body)
			if got := read(t, resp); resp.StatusCode != 404 || got != `{"error":"the model does not exist or you have no access to it"}`+"\n" {
				t.Errorf("%s: %s", resp.Status, got)
			}
		})
	}
}

func TestNativeAnswersThatAreNoStream(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{Native: true}, library...)
	for _, test := range []struct{ name, path, body, want, operation string }{
		{"chat", "/api/chat", strings.Replace(nativeChat, "{", `{"stream":false,`, 1), `"content":"hi"`, "chat"},
		{"generate", "/api/generate", `{"model":"m","prompt":"hi","stream":false}`, `"response":"hi"`, "text_completion"},
		{"embed", "/api/embed", `{"model":"m","input":"two words"}`, `"embeddings":[[9,1]]`, "embeddings"},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp := g.do(t, t.Context(), "POST", test.path, test.body)
			if body := read(t, resp); resp.StatusCode != 200 || !strings.Contains(body, test.want) {
				t.Errorf("%s: %s", resp.Status, body)
			}
			if end := g.ended(t); end.Operation != test.operation || end.Stream || end.Usage == nil {
				t.Errorf("record %+v", end.Record)
			}
		})
	}
}

func TestNativeModelsAreThoseThatAreVisible(t *testing.T) {
	g, _ := start(t, parsed(t, "native on\nmodels m"), library...)
	body := read(t, g.do(t, t.Context(), "GET", "/api/tags", ""))
	if strings.Count(body, `"name"`) != 1 || !strings.Contains(body, `"name":"m:latest"`) || !strings.Contains(body, `"digest"`) {
		t.Errorf("tags: %s", body)
	}
	if body := read(t, g.do(t, t.Context(), "POST", "/api/show", `{"name":"m"}`)); !strings.Contains(body, `"capabilities":["completion","tools"]`) {
		t.Errorf("show: %s", body)
	}
	if resp := g.do(t, t.Context(), "POST", "/api/show", `{"model":"jo/n:7b"}`); resp.StatusCode != 404 {
		t.Errorf("show of a model that is not visible: %s", resp.Status)
	}
	if body := read(t, g.do(t, t.Context(), "GET", "/api/version", "")); !strings.Contains(body, ollamatest.Version) {
		t.Errorf("version: %s", body)
	}
	if body := read(t, g.do(t, t.Context(), "GET", "/api/ps", "")); body != `{"models":[]}` {
		t.Errorf("ps: %s", body)
	}
}

func TestNativeModelsHaveTheirAliases(t *testing.T) {
	g, _ := start(t, parsed(t, "native on\nmodels nothing\nalias gpt-4o jo/n:7b\nalias gone not-installed"), library...)
	body := read(t, g.do(t, t.Context(), "GET", "/api/tags", ""))
	if strings.Count(body, `"name"`) != 1 || !strings.Contains(body, `"name":"gpt-4o","model":"gpt-4o"`) || !strings.Contains(body, `"digest"`) {
		t.Errorf("tags: %s", body)
	}
}

func TestNativeOptionsAreCheckedBeforeOllamaIsAsked(t *testing.T) {
	upstream := watch(t, anything)
	g := inFront(t, ollamaadapter.Handler{Native: true}, upstream.address())
	resp := g.do(t, t.Context(), "POST", "/api/chat", `{"model":"m","messages":[{"role":"user","content":"hi"}],"options":{"top_k":"5"}}`)
	if seen := upstream.requests(); resp.StatusCode != 400 || len(seen) > 0 {
		t.Errorf("%s, and the upstream got %q", resp.Status, seen)
	}
}

func TestNativeStreamsEndTruthfully(t *testing.T) {
	const line = `{"model":"m","message":{"role":"assistant","content":"hel"},"done":false}` + "\n"
	for _, test := range []struct {
		name   string
		answer ollamatest.Answer
		want   string
	}{
		{"cut", ollamatest.Answer{Raw: []string{line}, Cut: true}, line + `{"error":"the model server's answer was cut short"}` + "\n"},
		{"ended without an end", ollamatest.Answer{Raw: []string{line}}, line + `{"error":"the model server's answer was cut short"}` + "\n"},
		{"ended in an error of Ollama's", ollamatest.Answer{Raw: []string{line, `{"error":"out of memory"}` + "\n"}}, line + `{"error":"the model server failed while answering"}` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := start(t, ollamaadapter.Handler{Native: true}, answers(test.answer))
			if got := read(t, g.do(t, t.Context(), "POST", "/api/chat", nativeChat)); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if end := g.ended(t); end.Reason != record.UpstreamError || end.Usage == nil || !end.Usage.Estimated {
				t.Errorf("record %+v", end.Record)
			}
		})
	}
	t.Run("refused by Ollama before the first line", func(t *testing.T) {
		g, _ := start(t, ollamaadapter.Handler{Native: true}, ollamatest.Model{Name: "m", Answer: func(ollama.ChatRequest) ollamatest.Answer {
			return ollamatest.Answer{Status: 400, Error: "registry.ollama.ai/library/m:latest does not support tools"}
		}})
		resp := g.do(t, t.Context(), "POST", "/api/chat", nativeChat)
		if got := read(t, resp); resp.StatusCode != 400 || got != `{"error":"the model does not support tools"}`+"\n" {
			t.Errorf("%s: %s", resp.Status, got)
		}
	})
}
