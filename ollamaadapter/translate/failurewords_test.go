package translate_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// What is told is what an upstream says of itself. A prompt, an answer or a key that it
// repeats must not get into the log.
func TestFailureWords(t *testing.T) {
	const unsafe = "its text may quote the conversation, and is left to its own log"
	ollama := func(text string) string {
		body, err := json.Marshal(map[string]string{"error": text})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for _, test := range []struct{ name, body, want string }{
		{"Ollama's", ollama("llama runner process has terminated: CUDA out of memory"), "llama runner process has terminated: CUDA out of memory"},
		{"whatever the case", ollama("cudaMalloc failed: out of memory"), "cudaMalloc failed: out of memory"},
		{"the first line only", ollama("CUDA error: out of memory\n  CANARY"), "CUDA error: out of memory"},
		{"up to what is quoted", ollama(`do embedding request: Post "http://CANARY": EOF`), "do embedding request: Post"},
		{"llama-server's error within Ollama's", ollama(`{"error":{"code":500,"message":"Compute error.","type":"server_error"}}`), "Compute error."},
		{"vLLM's", `{"error":{"message":"EngineCore encountered an issue.","code":500}}`, "EngineCore encountered an issue."},
		{"another gateway's", `{"error":{"message":"the model server took too long","code":"upstream_timeout"}}`, "the model server took too long"},
		{"without control characters", ollama("CUDA error: \x1b[31mout\u202e of\x00 memory"), "CUDA error"},
		{"without what turns text around", "{\"error\":\"CUDA error: out\u202e of\u007f mem\xffory\"}", "CUDA error: out of memory"},
		{"a long one is cut", ollama("CUDA error: " + strings.Repeat("世", 400)), "CUDA error: " + strings.Repeat("世", 162)},
		{"an answer that cannot be parsed", ollama("error parsing tool call: raw='CANARY', err=unexpected end"), unsafe},
		{"the rest of an answer, not quoted", ollama("Failed to parse input at pos 7: CANARY"), unsafe},
		{"nothing but the answer", ollama("CANARY"), unsafe},
		{"known words that are not its beginning", ollama("CANARY: CUDA error"), unsafe},
		{"a key", `{"error":{"message":"Incorrect API key provided: CANARY"}}`, unsafe},
		{"a page", "<html>CANARY</html>", ""},
		{"no text", `{"error":null}`, ""},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := translate.FailureWords([]byte(test.body)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
