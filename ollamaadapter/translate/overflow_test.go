package translate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

func TestTheLengthsOfAnOverflowAreTold(t *testing.T) {
	const silent = `{"error":"the input length exceeds the context length"}`
	const telling = `{"error":"{\"error\":{\"code\":400,\"message\":\"request (351 tokens) exceeds the available context size (256 tokens), try increasing it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":351,\"n_ctx\":256}}"}`
	for _, test := range []struct {
		name, answer, content string
		context               int
		want                  string
	}{
		{"Ollama's own numbers go before ours", telling, "hi", 9, "the conversation has 351 tokens and the model's context 256"},
		{"the prompt is estimated by its text", silent, strings.Repeat("word ", 1000), 256, "the conversation has about 1000 tokens and the model's context 256"},
		{"an estimate is never less than what is too much", silent, "你好", 256, "the conversation has about 257 tokens and the model's context 256"},
		{"a context that nobody knows is not made up", silent, "hi", 0, "the conversation is longer than the model's context"},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := translate.DecodeChat([]byte(talk(`{"role":"user","content":"` + test.content + `"}`)))
			if err != nil {
				t.Fatal(err)
			}
			out, err := exchange(req, translate.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			_, fault := translate.UpstreamFault("/api/chat", http.StatusBadRequest, []byte(test.answer))
			if out.TellLengths(fault, test.context); fault.Message != test.want {
				t.Errorf("got %q, want %q", fault.Message, test.want)
			}
		})
	}
}

// What is too long is called what it is: a text to embed is no conversation.
func TestAnOverflowIsToldOfWhatWasSent(t *testing.T) {
	const silent = `{"error":"the input length exceeds the context length"}`
	const telling = `{"error":"{\"error\":{\"message\":\"request exceeds the available context size\",\"n_prompt_tokens\":351,\"n_ctx\":256}}"}`
	const engines = `{"error":{"code":400,"message":"m","type":"exceed_context_size_error","n_prompt_tokens":351,"n_ctx":256}}`
	const vllms = `{"error":{"code":400,"message":"This model's maximum context length is 256 tokens."}}`
	embed := translate.EmbedRequest(embedding(t, `{"input":"hi"}`), translate.Settings{})
	for _, test := range []struct {
		path, answer string
		exchange     *translate.Exchange // that makes its own estimate
		want         string
	}{
		{"/api/embed", silent, nil, "the input is longer than the model's context"},
		{"/api/embed", silent, embed, "the input has about 257 tokens and the model's context 256"},
		{"/api/embed", telling, embed, "the input has 351 tokens and the model's context 256"},
		{"/api/generate", silent, nil, "the prompt is longer than the model's context"},
		{"/api/generate", telling, nil, "the prompt has 351 tokens and the model's context 256"},
		{"/v1/embeddings", engines, nil, "the input has 351 tokens and the model's context 256"},
		{"/v1/embeddings", vllms, nil, "the input is longer than the model's context of 256 tokens"},
		{"/v1/completions", vllms, nil, "the prompt is longer than the model's context of 256 tokens"},
		{"/v1/chat/completions", vllms, nil, "the conversation is longer than the model's context of 256 tokens"},
	} {
		t.Run(test.path+": "+test.want, func(t *testing.T) {
			_, fault := translate.UpstreamFault(test.path, http.StatusBadRequest, []byte(test.answer))
			if test.exchange != nil {
				test.exchange.TellLengths(fault, 256)
			}
			if fault.Message != test.want {
				t.Errorf("got %q", fault.Message)
			}
		})
	}
}
