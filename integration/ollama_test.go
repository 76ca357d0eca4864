package integration

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"

	"github.com/gateway18789/caddy-ollama/integration/realollama"
	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// native asks Ollama itself, past the gateway.
func native(t *testing.T, server *realollama.Server, body string) (content string, promptTokens, completionTokens int) {
	t.Helper()
	resp, err := http.Post(server.URL+"/api/chat", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Message         struct{ Content string }
		PromptEvalCount int `json:"prompt_eval_count"`
		EvalCount       int `json:"eval_count"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	return answer.Message.Content, answer.PromptEvalCount, answer.EvalCount
}

func upstreamOf(server *realollama.Server) string { return strings.TrimPrefix(server.URL, "http://") }

// sdk is OpenAI's official client, with nothing special but base URL, token and TLS.
func (g *gateway) sdk(source, subject string) openai.Client {
	return g.sdkOver(g.from(source), subject)
}

func (g *gateway) sdkOver(client *http.Client, subject string) openai.Client {
	return openai.NewClient(
		option.WithBaseURL(g.url("/v1")),
		option.WithAPIKey(tokenFor(g.t, subject)),
		option.WithHTTPClient(client),
		option.WithMaxRetries(0),
	)
}

func ask(model string, messages ...openai.ChatCompletionMessageParamUnion) openai.ChatCompletionNewParams {
	if len(messages) == 0 {
		messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hi")}
	}
	return openai.ChatCompletionNewParams{Model: model, Messages: messages}
}

// streamed asks for a completion and puts its chunks together. Each tool call comes
// whole, in one delta, with the number that is its own.
func streamed(t *testing.T, client openai.Client, params openai.ChatCompletionNewParams) *openai.ChatCompletion {
	t.Helper()
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	var sum openai.ChatCompletionAccumulator
	calls := int64(0)
	for stream.Next() {
		chunk := stream.Current()
		if !sum.AddChunk(chunk) {
			t.Fatalf("the chunks do not fit together: %+v", chunk)
		}
		for _, choice := range chunk.Choices {
			for _, call := range choice.Delta.ToolCalls {
				if !call.JSON.Index.Valid() || call.Index != calls {
					t.Errorf("call %d is %s", calls, call.RawJSON())
				}
				calls++
			}
		}
	}
	if stream.Err() != nil {
		t.Fatal(stream.Err())
	}
	return &sum.ChatCompletion
}

// The design document's three checks: Ollama alone, the adapter alone, the whole
// gateway. Each must say the same, and count the same.
func TestOllamaAdapterAndGatewayAgree(t *testing.T) {
	server := realOllama(t)
	// the gateway's own defaults, so that all three ask the same
	const options = `"options":{"temperature":0.7,"num_ctx":32768}`
	content, promptTokens, completionTokens := native(t, server,
		`{"model":"hello","stream":false,`+options+`,"messages":[{"role":"user","content":"hi"}]}`)
	if content != scriptedmodel.HelloText {
		t.Fatalf("Ollama alone says %q", content)
	}

	t.Run("the adapter alone, without TLS", func(t *testing.T) {
		g := prepareGateway(t, upstreamOf(server))
		g.writeConfig(`{
	admin off
	auto_https off
}
http://` + g.address() + ` {
	ollama_adapter
	reverse_proxy ` + upstreamOf(server) + `
	handle_errors {
		openai_error
	}
}
`)
		g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
		g.awaitListening(t, g.address())
		resp, err := http.Post("http://"+g.address()+"/v1/chat/completions", "application/json", strings.NewReader(chatBody("hello", false)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var completion openai.ChatCompletion
		body, err := io.ReadAll(resp.Body)
		if err != nil || json.Unmarshal(body, &completion) != nil || len(completion.Choices) != 1 {
			t.Fatalf("%s %s %v", resp.Status, body, err)
		}
		if got := completion.Choices[0].Message.Content; got != scriptedmodel.HelloText {
			t.Errorf("says %q", got)
		}
	})

	g := startGateway(t, upstreamOf(server))
	want := record{
		"http.response.status_code": 200, "event.reason": "ok", "event.outcome": "success",
		"gen_ai.operation.name": "chat", "gen_ai.request.model": "hello", "gen_ai.response.model": "hello",
		"gen_ai.usage.input_tokens": promptTokens, "gen_ai.usage.output_tokens": completionTokens,
		"gen_ai.response.finish_reasons": "[stop]",
	}

	t.Run("the gateway, whole", func(t *testing.T) {
		client := g.sdk("127.0.0.2", "whole")
		completion, err := client.Chat.Completions.New(t.Context(), ask("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if got := completion.Choices[0].Message.Content; got != scriptedmodel.HelloText {
			t.Errorf("says %q", got)
		}
		if u := completion.Usage; u.PromptTokens != int64(promptTokens) || u.CompletionTokens != int64(completionTokens) {
			t.Errorf("usage %d and %d, want Ollama's %d and %d", u.PromptTokens, u.CompletionTokens, promptTokens, completionTokens)
		}
		r := g.recordWith("user.id", "whole")
		checkRecord(t, r, want)
		checkRecord(t, r, record{"gen_ai.request.stream": false})
	})

	t.Run("the gateway, streaming", func(t *testing.T) {
		client := g.sdk("127.0.0.2", "streaming")
		sum := streamed(t, client, ask("hello"))
		if got := sum.Choices[0].Message.Content; got != scriptedmodel.HelloText || sum.Choices[0].FinishReason != "stop" {
			t.Errorf("says %q and finishes for %q", got, sum.Choices[0].FinishReason)
		}
		if u := sum.Usage; u.PromptTokens != int64(promptTokens) || u.CompletionTokens != int64(completionTokens) {
			t.Errorf("usage %d and %d, want Ollama's %d and %d", u.PromptTokens, u.CompletionTokens, promptTokens, completionTokens)
		}
		r := g.recordWith("user.id", "streaming")
		checkRecord(t, r, want)
		checkRecord(t, r, record{"gen_ai.request.stream": true})
		if first, _ := r["gen_ai.response.time_to_first_chunk"].(float64); first <= 0 {
			t.Errorf("time to first chunk is %v", r["gen_ai.response.time_to_first_chunk"])
		}
	})

	t.Run("the list of models", func(t *testing.T) {
		client := g.sdk("127.0.0.3", "lister")
		page, err := client.Models.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, m := range page.Data {
			found = found || m.ID == "hello:latest"
		}
		if !found {
			t.Errorf("hello:latest is not among %+v", page.Data)
		}
	})
}

func TestToolCallGoesRound(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	client := g.sdk("127.0.0.2", "bot")
	question := openai.UserMessage("What is the weather in Paris?")
	params := ask("toolcaller", question)
	params.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: scriptedmodel.ToolName,
		Parameters: shared.FunctionParameters{
			"type": "object", "required": []string{"city"},
			"properties": map[string]any{"city": map[string]any{"type": "string"}},
		},
	})}
	completion, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	choice := completion.Choices[0]
	if len(choice.Message.ToolCalls) != 1 || choice.FinishReason != "tool_calls" {
		t.Fatalf("finishes for %q with calls %+v", choice.FinishReason, choice.Message.ToolCalls)
	}
	call := choice.Message.ToolCalls[0]
	if call.Function.Name != scriptedmodel.ToolName || call.Function.Arguments != `{"city":"`+scriptedmodel.ToolCity+`"}` || call.ID == "" {
		t.Errorf("calls %+v", call)
	}

	params.Messages = append(params.Messages, choice.Message.ToParam(), openai.ToolMessage("sunny", call.ID))
	completion, err = client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if got := completion.Choices[0].Message.Content; got != scriptedmodel.ToolAnswer {
		t.Errorf("after the tool's result it says %q", got)
	}
}

func TestReasoningComesApartFromTheAnswer(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	client := g.sdk("127.0.0.2", "bot")
	completion, err := client.Chat.Completions.New(t.Context(), ask("thinker"))
	if err != nil {
		t.Fatal(err)
	}
	message := completion.Choices[0].Message
	if message.Content != scriptedmodel.ThinkerAnswer {
		t.Errorf("says %q", message.Content)
	}
	for _, field := range []string{"reasoning", "reasoning_content"} {
		var text string
		if err := json.Unmarshal([]byte(message.JSON.ExtraFields[field].Raw()), &text); err != nil || text != scriptedmodel.ThinkerThinking {
			t.Errorf("%s is %s (%v)", field, message.JSON.ExtraFields[field].Raw(), err)
		}
	}

	params := ask("thinker")
	params.ReasoningEffort = "none"
	if completion, err = client.Chat.Completions.New(t.Context(), params); err != nil {
		t.Fatal(err)
	}
	if _, thinks := completion.Choices[0].Message.JSON.ExtraFields["reasoning"]; thinks {
		t.Error("it thinks although reasoning_effort is none")
	}
}

func TestClientThatLeavesStopsOllama(t *testing.T) {
	server := realOllama(t)
	g := startGateway(t, upstreamOf(server))
	s := g.stream(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("endless", true))
	for range 50 {
		s.nextContent()
	}
	s.cancel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := server.AwaitUnloaded(ctx, "endless"); err != nil {
		t.Errorf("Ollama still works for the client that left: %v\n%s", err, server.Log())
	}
	r := g.recordWith("gen_ai.request.model", "endless")
	checkRecord(t, r, record{"http.response.status_code": 499, "event.reason": "client_gone", "labels.usage_estimated": true})
	if tokens, _ := r["gen_ai.usage.output_tokens"].(float64); tokens < 50 {
		t.Errorf("%v tokens are counted, at least 50 came", r["gen_ai.usage.output_tokens"])
	}
}

func TestReloadUnderARealStreamLosesNoToken(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	const tokens = 3000
	body := strings.Replace(chatBody("endless", true), `"stream"`, `"max_tokens":3000,"stream"`, 1)
	s := g.stream(g.from("127.0.0.2"), tokenFor(t, "bot"), body)
	var text strings.Builder
	reloaded := make(chan error, 1)
	chunks, last := 0, ""
	for {
		data, ok := s.next()
		if !ok || data == "[DONE]" {
			last = data
			break
		}
		if content := s.decode(data).Choices[0].Delta.Content; content != nil {
			text.WriteString(*content)
		}
		if chunks++; chunks == 100 {
			go func() { reloaded <- g.reload(strings.Replace(g.caddyfile, "burst 10", "burst 11", 1)) }()
		}
	}
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	if last != "[DONE]" {
		t.Errorf("the stream ended with %q", last)
	}
	whole := strings.Repeat(scriptedmodel.EndlessRound, tokens)
	if got := text.String(); got != whole[:len(got)] || len(got) < tokens {
		t.Errorf("the text of %d bytes has a gap", len(got))
	}
	checkRecord(t, g.recordWith("gen_ai.request.model", "endless"), record{
		"event.reason": "ok", "gen_ai.usage.output_tokens": tokens, "gen_ai.response.finish_reasons": "[length]",
	})
}
