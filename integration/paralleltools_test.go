package integration

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"

	"github.com/gateway18789/caddy-ollama/integration/realollama"
	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// What the model paralleltools calls.
const (
	weatherCall = `get_weather{"city":"Paris"}`
	timeCall    = `get_time{"timezone":"Europe/Paris"}`
)

// askBoth asks the model paralleltools, which calls both of its tools at once.
func askBoth() openai.ChatCompletionNewParams {
	params := ask("paralleltools", openai.UserMessage("What are the weather and the time in Paris?"))
	clock := openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: scriptedmodel.SecondToolName,
		Parameters: shared.FunctionParameters{
			"type": "object", "required": []string{"timezone"},
			"properties": map[string]any{"timezone": map[string]any{"type": "string"}},
		},
	})
	params.Tools = []openai.ChatCompletionToolUnionParam{weather(), clock}
	return params
}

func whole(t *testing.T, client openai.Client, params openai.ChatCompletionNewParams) *openai.ChatCompletion {
	t.Helper()
	completion, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return completion
}

// forms are the ways in which a client can have a completion.
var forms = []struct {
	name string
	ask  func(*testing.T, openai.Client, openai.ChatCompletionNewParams) *openai.ChatCompletion
}{{"whole", whole}, {"streamed", streamed}}

// checkCalls checks that a completion is these calls, as name{"argument":"value"}.
func checkCalls(t *testing.T, completion *openai.ChatCompletion, want ...string) {
	t.Helper()
	choice := completion.Choices[0]
	var got []string
	for _, call := range choice.Message.ToolCalls {
		got = append(got, call.Function.Name+call.Function.Arguments)
	}
	if !slices.Equal(got, want) || choice.FinishReason != "tool_calls" {
		t.Fatalf("finishes for %q with calls %q, want %q", choice.FinishReason, got, want)
	}
}

// The model answers only if Ollama finds for each of its calls a result with the
// call's id and name: a gateway that mixed them up would get the calls again.
func TestParallelToolCallsGoRound(t *testing.T) {
	upstream, chats := overhear(t, realOllama(t))
	g := startGateway(t, upstream)
	client := g.sdk("127.0.0.2", "bot")
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			params := askBoth()
			completion := form.ask(t, client, params)
			<-chats
			checkCalls(t, completion, weatherCall, timeCall)
			calls := completion.Choices[0].Message.ToolCalls
			if calls[0].ID == "" || calls[0].ID == calls[1].ID {
				t.Errorf("ids are %q and %q", calls[0].ID, calls[1].ID)
			}

			// OpenClaw drops the underscore of ids; the quicker tool comes first
			for i := range calls {
				calls[i].ID = strings.Replace(calls[i].ID, "_", "", 1)
			}
			params.Messages = append(params.Messages, completion.Choices[0].Message.ToParam(),
				openai.ToolMessage("noon", calls[1].ID), openai.ToolMessage("sunny", calls[0].ID))
			completion = form.ask(t, client, params)
			if got := completion.Choices[0]; got.Message.Content != scriptedmodel.ToolAnswer || got.FinishReason != "stop" {
				t.Errorf("after the tools' results it says %q and finishes for %q", got.Message.Content, got.FinishReason)
			}
			var results []string
			for _, m := range (<-chats).Messages {
				if m.Role == "tool" {
					results = append(results, m.ToolCallID+" "+m.ToolName+" "+m.Content)
				}
			}
			if want := []string{calls[1].ID + " get_time noon", calls[0].ID + " get_weather sunny"}; !slices.Equal(results, want) {
				t.Errorf("Ollama got the results %q, want %q", results, want)
			}
		})
	}
}

// Ollama knows no parallel_tool_calls and answers with both calls all the same.
// They are counted, for they were made.
func TestWithoutParallelToolCallsTheFirstIsLeft(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			params := askBoth()
			params.ParallelToolCalls = openai.Bool(false)
			completion := form.ask(t, g.sdk("127.0.0.2", form.name), params)
			checkCalls(t, completion, weatherCall)
			checkRecord(t, g.recordWith("user.id", form.name), record{
				"event.reason": "ok", "gen_ai.response.finish_reasons": "[tool_calls]",
				"gen_ai.usage.output_tokens": scriptedmodel.ParallelTools.Script(scriptedmodel.AssistantTurn).EvalCount(),
			})
		})
	}
}

// overhear is a way to Ollama on which each request to /api/chat can be read.
func overhear(t *testing.T, server *realollama.Server) (upstream string, chats <-chan ollama.ChatRequest) {
	t.Helper()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	heard := make(chan ollama.ChatRequest, 8)
	wire := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/chat" {
			var chat ollama.ChatRequest
			body, err := io.ReadAll(r.Body)
			if err != nil || json.Unmarshal(body, &chat) != nil {
				t.Errorf("Ollama got %q (%v)", body, err)
			}
			if len(chat.Messages) > 0 { // else it loads the model
				heard <- chat
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(wire.Close)
	return strings.TrimPrefix(wire.URL, "http://"), heard
}
