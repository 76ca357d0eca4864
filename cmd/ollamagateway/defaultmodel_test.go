package ollamagateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestChooseModel(t *testing.T) {
	chat, other := ollamatest.Says("qwen3:0.6b", "hi"), ollamatest.Says("other", "hi")
	embeds := ollamatest.Model{Name: "nomic-embed-text:latest", Capabilities: []string{"embedding"}}
	cloud := ollamatest.Model{Name: "gpt-oss:120b-cloud", RemoteHost: "https://ollama.com:443"}
	cases := []struct {
		name         string
		models       []ollamatest.Model
		named, model string
		lack         string // part of it; empty: nothing lacks
	}{
		{"the first", []ollamatest.Model{chat, other}, "", "qwen3:0.6b", ""},
		{"the first that does more than embed", []ollamatest.Model{embeds, chat}, "", "qwen3:0.6b", ""},
		{"none in Ollama's cloud, where the gateway lets nothing go", []ollamatest.Model{cloud, chat}, "", "qwen3:0.6b", ""},
		{"the one that is named", []ollamatest.Model{chat, other}, "other", "other", ""},
		{"one that is named in another way", []ollamatest.Model{chat, embeds}, "Qwen3:0.6B", "Qwen3:0.6B", ""},
		{"no model at all", nil, "", "", "Ollama has no model, get one with `ollama pull"},
		{"only models that embed", []ollamatest.Model{embeds}, "", "", "none that can answer a chat"},
		{"one that is not there", []ollamatest.Model{chat}, "nope", "nope", "does not have it, get it with `ollama pull nope`"},
		{"one that is named, and only embeds", []ollamatest.Model{embeds}, "nomic-embed-text:latest", "nomic-embed-text:latest", "only embed"},
		{"one that is named, and in the cloud", []ollamatest.Model{cloud}, "gpt-oss:120b-cloud", "gpt-oss:120b-cloud", "cloud"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := ollamatest.NewServer(c.models...)
			defer server.Close()
			model, lack := chooseModel(t.Context(), server.Address(), c.named)
			if model != c.model || (lack == "") != (c.lack == "") || !strings.Contains(lack, c.lack) {
				t.Errorf("chose %q, lack %q; want %q, %q", model, lack, c.model, c.lack)
			}
		})
	}
}

// Before Ollama 0.6.4 nobody tells what a model can; a proxy may not tell at all.
func TestChooseModelWithoutCapabilities(t *testing.T) {
	cases := []struct{ name, show, want string }{
		{"a model with a pooling only embeds", `{"model_info":{"nomic-bert.pooling_type":1}}`, ""},
		{"one without may answer", `{"model_info":{"llama.context_length":4096}}`, "old"},
		{"one of which nothing is told may answer", ``, "old"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/tags" {
					_, _ = io.WriteString(w, `{"models":[{"name":"old"}]}`)
					return
				}
				_, _ = io.WriteString(w, c.show)
			}))
			defer server.Close()
			if model, lack := chooseModel(t.Context(), server.Listener.Addr().String(), ""); model != c.want || (lack == "") != (c.want != "") {
				t.Errorf("chose %q, lack %q; want %q", model, lack, c.want)
			}
		})
	}
}

func TestChooseModelDoesNotSayThatThereIsNoneIfItWasNotTold(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if model, lack := chooseModel(t.Context(), server.Listener.Addr().String(), ""); model != "" || !strings.Contains(lack, "does not tell") {
		t.Errorf("chose %q, lack %q", model, lack)
	}
}
