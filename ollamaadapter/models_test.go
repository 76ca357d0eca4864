package ollamaadapter_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// library is what the Ollama of these tests has.
var library = []ollamatest.Model{
	{Name: "m:latest", Answer: ollamatest.Says("", "hi").Answer, Capabilities: []string{"completion", "tools"}, ContextLength: 40960},
	{Name: "jo/n:7b", Answer: ollamatest.Says("", "hi").Answer},
	{Name: "big:cloud", Answer: ollamatest.Says("", "hi").Answer},
	{Name: "jo/remote:latest", Answer: ollamatest.Says("", "hi").Answer, RemoteHost: "https://ollama.com"},
	{Name: "elsewhere:latest", Answer: ollamatest.Says("", "hi").Answer, RemoteHost: "https://ollama.com"},
}

// parsed is the handler of a Caddyfile.
func parsed(t *testing.T, options string) ollamaadapter.Handler {
	t.Helper()
	var handler ollamaadapter.Handler
	if err := handler.UnmarshalCaddyfile(caddyfile.NewTestDispenser("ollama_adapter {\n" + options + "\n}")); err != nil {
		t.Fatal(err)
	}
	return handler
}

const (
	listedM = `{"id":"m:latest","object":"model","created":1700000000,"owned_by":"library","context_length":40960,"capabilities":["completion","tools"]}`
	listedN = `{"id":"jo/n:7b","object":"model","created":1700000000,"owned_by":"jo","capabilities":["completion"]}`
)

func TestModelsAreListed(t *testing.T) {
	for _, test := range []struct{ name, options, want string }{
		{"all, with what they can, but none that runs elsewhere", ``, listedN + `,` + listedM},
		{"those on the allow-list", `models jo/*`, listedN},
		{"none is an empty list, not null", `models nothing`, ``},
		{"with the context that they are given here, if it is less than they have", "models m\ndefaults {\nnum_ctx 8192\n}", strings.Replace(listedM, "40960", "8192", 1)},
		{"with the context that they have, if it is less than they are given", "models m\ndefaults {\nnum_ctx 65536\n}", listedM},
		{"an alias in place of a model that is not listed", "models jo/*\nalias gpt-4o m",
			strings.Replace(listedM, "m:latest", "gpt-4o", 1) + `,` + listedN},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := start(t, parsed(t, test.options), library...)
			resp := raw(t, g, "GET", "/v1/models", "")
			if got, want := read(t, resp), `{"object":"list","data":[`+test.want+`]}`; resp.StatusCode != 200 || got != want {
				t.Errorf("%s: got  %s\nwant %s", resp.Status, got, want)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestOneModelIsTold(t *testing.T) {
	for _, test := range []struct{ name, options, path, want string }{
		{"by its name", ``, "/v1/models/m:latest", listedM},
		{"under the name it was asked for", ``, "/v1/models/m", strings.Replace(listedM, "m:latest", "m", 1)},
		{"with a slash in its name", ``, "/v1/models/jo/n:7b", listedN},
		{"with the slash escaped, as SDKs do", ``, "/v1/models/jo%2Fn:7b", listedN},
		{"by its alias", `alias gpt-4o m`, "/v1/models/gpt-4o", strings.Replace(listedM, "m:latest", "gpt-4o", 1)},
		{"not if it is not allowed", `models jo/*`, "/v1/models/m", ``},
		{"not if it runs elsewhere", ``, "/v1/models/elsewhere", ``},
		{"not if it is not there", ``, "/v1/models/nothing", ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := start(t, parsed(t, test.options), library...)
			resp := raw(t, g, "GET", test.path, "")
			if test.want == "" {
				if _, code := failure(t, resp); resp.StatusCode != 404 || code != "model_not_found" {
					t.Errorf("%s, code %q", resp.Status, code)
				}
				return
			}
			if got := read(t, resp); resp.StatusCode != 200 || got != test.want {
				t.Errorf("%s: got  %s\nwant %s", resp.Status, got, test.want)
			}
		})
	}
}

func TestWhichModelAnswers(t *testing.T) {
	const options = "models m jo/*\nalias gpt-4o m\ndefault_model gpt-4o\nlimits {\nnum_predict 100\n}\nmodel jo/* {\nkeep_alive -1\ndefaults {\ntop_k 5\n}\n}"
	for _, test := range []struct{ name, body, model, answered string }{
		{"the one asked for", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "m", "m"},
		{"the one an alias stands for, under the alias", `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`, "m", "gpt-4o"},
		{"the default, which may be an alias", `{"messages":[{"role":"user","content":"hi"}]}`, "m", "gpt-4o"},
		{"none that is not on the allow-list", `{"model":"elsewhere","messages":[{"role":"user","content":"hi"}]}`, "", ""},
		{"none that runs elsewhere though its name does not tell", `{"model":"jo/remote","messages":[{"role":"user","content":"hi"}]}`, "", ""},
		{"none in the cloud", `{"model":"big:cloud","messages":[{"role":"user","content":"hi"}]}`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, server := start(t, parsed(t, options), library...)
			resp := g.post(t, test.body)
			if test.model == "" {
				if _, code := failure(t, resp); resp.StatusCode != 404 || code != "model_not_found" || len(server.Requests()) > 0 {
					t.Errorf("%s, code %q, %d requests at Ollama", resp.Status, code, len(server.Requests()))
				}
				return
			}
			if body := read(t, resp); !strings.Contains(body, `"model":"`+test.answered+`"`) {
				t.Errorf("%s: %s", resp.Status, body)
			}
			if got := server.Requests()[0]; got.Model != test.model || got.Options["num_predict"] != 100.0 {
				t.Errorf("Ollama got model %q, options %v", got.Model, got.Options)
			}
		})
	}
	t.Run("one with rules of its own", func(t *testing.T) {
		g, server := start(t, parsed(t, options), library...)
		g.post(t, `{"model":"jo/n:7b","messages":[{"role":"user","content":"hi"}]}`)
		if got := server.Requests()[0]; got.KeepAlive == nil || *got.KeepAlive != -1 || got.Options["top_k"] != 5.0 {
			t.Errorf("Ollama got keep_alive %v, options %v", got.KeepAlive, got.Options)
		}
	})
}

func TestOptionsOfModels(t *testing.T) {
	for _, test := range []struct{ name, options, says string }{
		{"models without a name", "models", "argument"},
		{"an alias of nothing", "alias gpt-4o", "argument"},
		{"an alias twice", "alias a b\nalias a c", "twice"},
		{"a limit of nothing", "limits {\nnum_predict 0\n}", "num_predict"},
		{"a limit below nothing", "limits {\nnum_predict -5\n}", "num_predict"},
		{"a limit nobody knows", "limits {\nnum_predictt 5\n}", "num_predictt"},
		{"a model without a block", "model m", "says nothing"},
		{"a model's option nobody knows", "model m {\nsystem_role merge\n}", "system_role"},
		{"a model's option twice", "model m {\nkeep_alive 1m\nkeep_alive 1m\n}", "twice"},
		{"keep_alive in words", "keep_alive long", "keep_alive"},
		{"a context_overflow nobody knows", "context_overflow ignore", "error or truncate"},
		{"a reasoning nobody knows", "reasoning yes", "both or"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var handler ollamaadapter.Handler
			err := handler.UnmarshalCaddyfile(caddyfile.NewTestDispenser("ollama_adapter {\n" + test.options + "\n}"))
			if err == nil || !strings.Contains(err.Error(), "Testfile:") || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %v, want one with the line and %q", err, test.says)
			}
		})
	}
}

func TestEmbeddingsAreServed(t *testing.T) {
	g, _ := start(t, parsed(t, "alias text-embedding-3-small m"), library...)
	resp := g.do(t, t.Context(), "POST", "/v1/embeddings", `{"model":"text-embedding-3-small","input":["two words","one"]}`)
	want := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[9,1]},{"object":"embedding","index":1,"embedding":[3,1]}],` +
		`"model":"text-embedding-3-small","usage":{"prompt_tokens":3,"total_tokens":3}}`
	if got := read(t, resp); resp.StatusCode != 200 || got != want {
		t.Errorf("%s: got  %s\nwant %s", resp.Status, got, want)
	}
	if end := g.ended(t); end.Operation != "embeddings" || end.RequestModel != "text-embedding-3-small" || end.ResponseModel != "m" ||
		end.Usage == nil || end.Usage.InputTokens != 3 {
		t.Errorf("record %+v", end.Record)
	}
}

func TestSeveralChoicesAreSeveralRequests(t *testing.T) {
	g, server := start(t, ollamaadapter.Handler{}, library...)
	body := read(t, g.post(t, saying(`"n":3,"seed":7`)))
	if strings.Count(body, `"content":"hi"`) != 3 || !strings.Contains(body, `"index":2`) {
		t.Errorf("got %s", body)
	}
	for i, r := range server.Requests() {
		if r.Options["seed"] != float64(7+i) {
			t.Errorf("choice %d has seed %v", i, r.Options["seed"])
		}
	}
	if end := g.ended(t); end.Usage == nil || end.Usage.OutputTokens != 3 || len(end.FinishReasons) != 3 {
		t.Errorf("record %+v", end.Record)
	}
	events := read(t, g.post(t, saying(`"n":2,"stream":true`)))
	if strings.Count(events, `"finish_reason":"stop"`) != 2 || strings.Count(events, "[DONE]") != 1 || !strings.HasSuffix(events, "data: [DONE]\n\n") {
		t.Errorf("got %s", events)
	}
}

func TestCompletionsAreServed(t *testing.T) {
	g, server := start(t, ollamaadapter.Handler{}, library...)
	body := read(t, g.do(t, t.Context(), "POST", "/v1/completions", `{"model":"m","prompt":"say"}`))
	if !strings.Contains(body, `"object":"text_completion"`) || !strings.Contains(body, `"text":"hi","logprobs":null,"finish_reason":"stop"`) {
		t.Errorf("got %s", body)
	}
	if end := g.ended(t); end.Operation != "text_completion" || end.Usage == nil || end.Usage.OutputTokens != 1 {
		t.Errorf("record %+v", end.Record)
	}
	events := read(t, g.do(t, t.Context(), "POST", "/completions", `{"model":"m","prompt":"say","stream":true}`))
	if !strings.Contains(events, `"text":"hi"`) || !strings.HasSuffix(events, "data: [DONE]\n\n") {
		t.Errorf("got %s", events)
	}
	if end := g.ended(t); !end.Stream || end.TimeToFirstChunk <= 0 {
		t.Errorf("record %+v", end.Record)
	}
	if got := server.Requests()[0]; got.Messages[0].Content != "say" {
		t.Errorf("Ollama got %+v", got.ChatRequest)
	}
}
