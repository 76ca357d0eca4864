package translate_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

func TestUpstreamFault(t *testing.T) {
	const overflow = `{"error":"{\"error\":{\"code\":400,\"message\":\"request (351 tokens) exceeds the available context size (256 tokens), try increasing it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":351,\"n_ctx\":256}}"}`
	text := func(s string) string { return `{"error":"` + s + `"}` }
	for _, test := range []struct {
		name        string
		upstream    int
		body        string
		status      int
		param, code string
	}{
		{"a model that is not installed", 404, text(`model 'CANARY' not found`), 404, "model", openai.CodeModelNotFound},
		{"a model that the scheduler does not find", 404, text(`model \"CANARY\" not found, try pulling it first`), 404, "model", openai.CodeModelNotFound},
		{"a page that is not there, as of a server that is no Ollama", 404, `404 page not found`, 502, "", openai.CodeUpstream},
		{"a page about models that is not there either", 404, `<h1>no model CANARY</h1>`, 502, "", openai.CodeUpstream},
		{"a conversation longer than the context", 400, overflow, 400, "messages", openai.CodeContextLength},
		{"a conversation longer than the context, as older engines say it", 400, text(`the input length exceeds the context length`), 400, "messages", openai.CodeContextLength},
		{"tools for a model that knows none", 400, text(`registry.ollama.ai/library/CANARY:latest does not support tools`), 400, "tools", openai.CodeUnsupported},
		{"a chat with a model for embeddings", 400, text(`\"CANARY\" does not support chat`), 400, "model", openai.CodeUnsupported},
		{"a malformed name of a model", 400, text(`invalid model name`), 400, "model", openai.CodeInvalidValue},
		{"thinking for a model that cannot", 400, text(`\"CANARY\" does not support thinking`), 400, "reasoning_effort", openai.CodeUnsupported},
		{"any other refusal", 400, text(`json: cannot unmarshal CANARY into Go struct field`), 400, "", openai.CodeInvalidValue},
		{"a refusal without words", 400, ``, 400, "", openai.CodeInvalidValue},
		{"a refusal in another shape", 400, `{"error":{"message":"CANARY"}}`, 400, "", openai.CodeInvalidValue},
		{"a cloud model without an account, which is our set-up", 401, `{"error":"unauthorized","signin_url":"https://CANARY"}`, 502, "", openai.CodeUpstream},
		{"a foreign host or origin, which is our set-up", 403, ``, 502, "", openai.CodeUpstream},
		{"a wrong method, which is our set-up", 405, `405 method not allowed`, 502, "", openai.CodeUpstream},
		{"a body too large for a proxy between us", 413, `<html>CANARY</html>`, 502, "", openai.CodeUpstream},
		{"a cloud model's rate limit is no limit of this client's", 429, text(`CANARY`), 503, "", "server_overloaded"},
		{"a request given up", 499, text(`request canceled`), 502, "", openai.CodeUpstream},
		{"a runner that has crashed", 500, text(`llama-server process has terminated: CANARY`), 502, "", openai.CodeUpstream},
		{"an option of the wrong type", 500, text(`option \"CANARY\" must be of type integer`), 502, "", openai.CodeUpstream},
		{"a bad gateway", 502, `CANARY`, 502, "", openai.CodeUpstream},
		{"a full queue", 503, text(`server busy, please try again.  maximum pending requests exceeded`), 503, "", "server_overloaded"},
		{"a proxy between us that waited too long", 504, ``, 504, "", "upstream_timeout"},
		{"a redirect", 302, `CANARY`, 502, "", openai.CodeUpstream},
		{"a success that is none of ours", 204, ``, 502, "", openai.CodeUpstream},
		{"no answer at all", 0, ``, 502, "", openai.CodeUpstream},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, e := translate.UpstreamFault("/api/chat", test.upstream, []byte(test.body))
			if status != test.status || e.Param != test.param || e.Code != test.code {
				t.Errorf("status %d, param %q, code %q; want %d, %q, %q", status, e.Param, e.Code, test.status, test.param, test.code)
			}
			wantType := openai.TypeServer
			if test.status < 500 {
				wantType = openai.TypeInvalidRequest
			}
			if e.Type != wantType {
				t.Errorf("type %q, want %q", e.Type, wantType)
			}
			if e.Message == "" || strings.Contains(string(e.JSON()), canary) {
				t.Errorf("%s", e.JSON())
			}
		})
	}
}

func TestAnswerFault(t *testing.T) {
	messages := make(map[string]bool)
	for _, err := range []error{
		translate.ErrCutShort, translate.ErrUpstream, translate.ErrGarbage,
		fmt.Errorf("CANARY: %w", translate.ErrUpstream), errors.New(canary), nil,
	} {
		t.Run(fmt.Sprint(err), func(t *testing.T) {
			status, e := translate.AnswerFault(err)
			if status != http.StatusBadGateway || e.Type != openai.TypeServer || e.Code != openai.CodeUpstream || e.Param != "" {
				t.Errorf("status %d, %s", status, e.JSON())
			}
			if e.Message == "" || strings.Contains(e.Message, canary) {
				t.Errorf("message %q", e.Message)
			}
			messages[e.Message] = true
		})
	}
	if len(messages) != 4 {
		t.Errorf("the causes cannot be told apart: %v", messages)
	}
}
