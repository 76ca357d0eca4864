package ollamaadapter_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
)

// An Ollama that hangs must not delay the answer to a request that is wrong anyway.
func TestWhatIsWrongAnywayIsRefusedBeforeOllamaIsAsked(t *testing.T) {
	var asked atomic.Int64
	released := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		<-released
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(released) })

	const chat, text, embeddings = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
	const function = `{"type":"function","function":{"name":"f"}}`
	for _, test := range []struct {
		name, path, body string
		status           int
		param            string
	}{
		{"a model that is not allowed", chat, `{"model":"other"}`, 404, "model"},
		{"no messages", chat, `{"model":"m"}`, 400, "messages"},
		{"a role nobody knows", chat, `{"model":"m","messages":[{"role":"x"}]}`, 400, "messages[0].role"},
		{"a part nobody knows", chat, `{"model":"m","messages":[{"role":"user","content":[{"type":"x"}]}]}`, 400, "messages[0].content[0].type"},
		{"an option out of range", chat, saying(`"temperature":3`), 400, "temperature"},
		{"an option of Ollama's own of a wrong type", chat, saying(`"options":{"top_k":"5"}`), 400, "options.top_k"},
		{"too many choices", chat, saying(`"n":9`), 400, "n"},
		{"too many logprobs", chat, saying(`"logprobs":true,"top_logprobs":21`), 400, "top_logprobs"},
		{"what Ollama has no counterpart for", chat, saying(`"logit_bias":{"1":1}`), 400, "logit_bias"},
		{"an effort nobody knows", chat, saying(`"reasoning_effort":"x"`), 400, "reasoning_effort"},
		{"a format nobody knows", chat, saying(`"response_format":{"type":"x"}`), 400, "response_format.type"},
		{"a tool without a name", chat, saying(`"tools":[{"type":"function"}]`), 400, "tools[0].function.name"},
		{"a tool whose parameters are no object", chat, saying(`"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]`), 400, "tools[0].function.parameters"},
		{"a tool choice nobody knows", chat, saying(`"tool_choice":"x"`), 400, "tool_choice"},
		{"a choice of a tool that is not there", chat, saying(`"tools":[` + function + `],"tool_choice":{"type":"function","function":{"name":"g"}}`), 400, "tool_choice"},
		{"a text model that is not allowed", text, `{"model":"other"}`, 404, "model"},
		{"no prompt", text, `{"model":"m"}`, 400, "prompt"},
		{"too many logprobs of a text", text, `{"model":"m","prompt":"p","logprobs":6}`, 400, "logprobs"},
		{"an option of a text out of range", text, `{"model":"m","prompt":"p","top_p":2}`, 400, "top_p"},
		{"an embedding model that is not allowed", embeddings, `{"model":"other"}`, 404, "model"},
		{"no input", embeddings, `{"model":"m"}`, 400, "input"},
		{"an empty input, for which Ollama has no vector", embeddings, `{"model":"m","input":["i",""]}`, 400, "input"},
		{"an encoding nobody knows", embeddings, `{"model":"m","input":"i","encoding_format":"x"}`, 400, "encoding_format"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// a gateway for each: it asks a hanging Ollama only once in a while
			g := inFront(t, ollamaadapter.Handler{Models: []string{"m"}}, hanging.Listener.Addr().String())
			before := asked.Load()
			resp := g.do(t, t.Context(), http.MethodPost, test.path, test.body)
			if param, _ := failure(t, resp); resp.StatusCode != test.status || param != test.param {
				t.Errorf("%s, param %q; want %d, %q", resp.Status, param, test.status, test.param)
			}
			if n := asked.Load() - before; n > 0 {
				t.Errorf("Ollama was asked %d times", n)
			}
			if end := g.ended(t); test.status == 400 && end.RequestModel != "m" {
				t.Errorf("the record names the model %q", end.RequestModel)
			}
		})
	}
}
