package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// weather is the tool that the model toolcaller knows.
func weather() openai.ChatCompletionToolUnionParam {
	return openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: scriptedmodel.ToolName,
		Parameters: shared.FunctionParameters{
			"type": "object", "required": []string{"city"},
			"properties": map[string]any{"city": map[string]any{"$ref": "#/$defs/City"}},
			"$defs":      map[string]any{"City": map[string]any{"type": "string", "minLength": 1}},
		},
	})
}

// A model that knows nothing of tools must still answer with a call if the client
// requires one: Ollama's grammar holds it to that.
func TestRequiredToolCallHoldsForAnyModel(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	client := g.sdk("127.0.0.2", "bot")
	params := ask("hello")
	params.Tools = []openai.ChatCompletionToolUnionParam{weather()}
	params.ToolChoice = openai.ToolChoiceOptionFunctionToolChoice(openai.ChatCompletionNamedToolChoiceFunctionParam{Name: scriptedmodel.ToolName})
	completion, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	choice := completion.Choices[0]
	if choice.FinishReason != "tool_calls" || len(choice.Message.ToolCalls) != 1 {
		t.Fatalf("answers %+v", choice)
	}
	var arguments struct{ City *string }
	call := choice.Message.ToolCalls[0].Function
	if err := json.Unmarshal([]byte(call.Arguments), &arguments); err != nil || call.Name != scriptedmodel.ToolName || arguments.City == nil {
		t.Errorf("calls %+v (%v)", call, err)
	}

	params.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("none")}
	params.Model = "toolcaller"
	if completion, err = client.Chat.Completions.New(t.Context(), params); err != nil {
		t.Fatal(err)
	}
	if got := completion.Choices[0].Message; got.Content != scriptedmodel.NoToolAnswer || len(got.ToolCalls) > 0 {
		t.Errorf("with tool_choice none it answers %+v", got)
	}
}

func TestStructuredOutputFitsItsSchema(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	client := g.sdk("127.0.0.2", "bot")
	params := ask("hello")
	params.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "person", Strict: openai.Bool(true), Schema: map[string]any{
			"type": "object", "required": []string{"name", "age"},
			"properties": map[string]any{"name": map[string]any{"type": "string"}, "age": map[string]any{"type": "integer"}},
		}},
	}}
	completion, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	var person struct {
		Name *string
		Age  *int
	}
	if err := json.Unmarshal([]byte(completion.Choices[0].Message.Content), &person); err != nil || person.Name == nil || person.Age == nil {
		t.Errorf("answers %q (%v)", completion.Choices[0].Message.Content, err)
	}
}

func TestEmbeddingsInBothEncodings(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	client := g.sdk("127.0.0.2", "embedder")
	embedding, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: "hello", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "two"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(embedding.Data) != 2 || len(embedding.Data[0].Embedding) < 64 || embedding.Usage.PromptTokens < 2 {
		t.Errorf("%d vectors, usage %+v", len(embedding.Data), embedding.Usage)
	}
	checkRecord(t, g.recordWith("user.id", "embedder"), record{
		"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": embedding.Usage.PromptTokens, "event.reason": "ok",
	})

	var encoded struct{ Data []struct{ Embedding string } }
	err = client.Post(t.Context(), "embeddings", map[string]any{"model": "hello", "input": "one", "encoding_format": "base64"}, &encoded)
	if err != nil || len(encoded.Data) != 1 || len(encoded.Data[0].Embedding) < 64*4 {
		t.Errorf("base64: %v %+v", err, encoded)
	}
}

func TestModelIsToldWithWhatItCan(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	client := g.sdk("127.0.0.2", "bot")
	for _, id := range []string{"thinker", "thinker:latest"} {
		model, err := client.Models.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if raw := model.RawJSON(); model.ID != id || !strings.Contains(raw, `"context_length":32768`) || !strings.Contains(raw, `"thinking"`) {
			t.Errorf("told %s", raw)
		}
	}
}

// A thinking model on Ollama 0.17.4 knows true and false, and no levels: to ask it
// for one would be a 400. A model that cannot think must not be asked at all.
func TestReasoningEffortSuitsVersionAndModel(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	client := g.sdk("127.0.0.2", "bot")
	for _, model := range []string{"thinker", "hello"} {
		params := ask(model)
		params.ReasoningEffort = shared.ReasoningEffortLow
		completion, err := client.Chat.Completions.New(t.Context(), params)
		if err != nil {
			t.Errorf("%s: %v", model, err)
			continue
		}
		_, thinks := completion.Choices[0].Message.JSON.ExtraFields["reasoning"]
		if thinks != (model == "thinker") {
			t.Errorf("%s thinks: %t", model, thinks)
		}
	}
}

// Ollama would drop the older half of a conversation that is too long, and answer
// the rest as if nothing had happened.
func TestTooLongConversationIsAnErrorNotACut(t *testing.T) {
	g := prepareGateway(t, upstreamOf(realOllama(t)))
	g.caddyfile = strings.Replace(g.caddyfile, "num_ctx 32768", "num_ctx 256", 1)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	body := `{"model":"hello","messages":[{"role":"user","content":"` + strings.Repeat("0123456789", 60) + `"}]}`
	for _, body := range []string{body, strings.Replace(body, `{`, `{"stream":true,`, 1)} {
		a := g.mustPost(g.from("127.0.0.2"), tokenFor(t, "bot"), body)
		if a.status != 400 || a.errorCode() != "context_length_exceeded" {
			t.Errorf("got %d %s", a.status, a.body)
		}
		// Ollama 0.17.4 tells no numbers: the context is asked for, the prompt estimated
		if !regexp.MustCompile(`the conversation has about \d+ tokens and the model's context 256`).MatchString(a.body) {
			t.Errorf("the lengths are not told: %s", a.body)
		}
		checkRecord(t, g.recordOf(a), record{"http.response.status_code": 400, "event.reason": "context_length_exceeded"})
	}
}

func TestLogprobsComeThrough(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	client := g.sdk("127.0.0.2", "bot")
	params := ask("hello")
	params.Logprobs, params.TopLogprobs = openai.Bool(true), openai.Int(2)
	completion, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if got := completion.Choices[0].Logprobs.Content; len(got) == 0 || len(got[0].TopLogprobs) != 2 {
		t.Errorf("logprobs %+v", got)
	}
}

func TestCompletionsOfAText(t *testing.T) {
	g := startGateway(t, upstreamOf(realOllama(t)))
	client := g.sdk("127.0.0.2", "writer")
	completion, err := client.Completions.New(t.Context(), openai.CompletionNewParams{
		Model: "hello", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("hi")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := completion.Choices[0]; got.Text != scriptedmodel.HelloText || got.FinishReason != "stop" {
		t.Errorf("writes %+v", got)
	}
	checkRecord(t, g.recordWith("user.id", "writer"), record{
		"gen_ai.operation.name": "text_completion", "gen_ai.usage.output_tokens": completion.Usage.CompletionTokens,
	})
	stream := client.Completions.NewStreaming(t.Context(), openai.CompletionNewParams{
		Model: "hello", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("hi")},
	})
	var text strings.Builder
	for stream.Next() {
		text.WriteString(stream.Current().Choices[0].Text)
	}
	if stream.Err() != nil || text.String() != scriptedmodel.HelloText {
		t.Errorf("streams %q (%v)", text.String(), stream.Err())
	}
}

// Where the operator lets Ollama cut, the record tells that it did.
func TestCutConversationIsFlagged(t *testing.T) {
	g := prepareGateway(t, upstreamOf(realOllama(t)))
	g.caddyfile = strings.Replace(g.caddyfile, "num_ctx 32768\n\t\t\t}", "num_ctx 256\n\t\t\t}\n\t\t\tcontext_overflow truncate", 1)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	var messages []string
	for range 40 {
		messages = append(messages, `{"role":"user","content":"`+strings.Repeat("0123456789", 10)+`"}`, `{"role":"assistant","content":"ok"}`)
	}
	body := `{"model":"hello","messages":[` + strings.Join(messages, ",") + `,{"role":"user","content":"hi"}]}`
	a := g.mustPost(g.from("127.0.0.2"), tokenFor(t, "bot"), body)
	if a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	checkRecord(t, g.recordOf(a), record{"labels.context_truncated": true})
}

// Clients of Ollama's own dialect, such as OpenClaw's native provider, come through
// the same defences and leave the same record.
func TestNativeDialectComesThrough(t *testing.T) {
	server := realOllama(t)
	g := prepareGateway(t, upstreamOf(server))
	g.caddyfile = strings.Replace(g.caddyfile, "default_model", "native on\n\t\t\tdefault_model", 1)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	client := g.from("127.0.0.2")
	send := func(path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", g.url(path), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tokenFor(t, "native"))
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(data)
	}
	status, body := send("/api/chat", `{"model":"hello","messages":[{"role":"user","content":"hi"}]}`)
	var text strings.Builder
	for line := range strings.Lines(body) {
		var chunk struct{ Message struct{ Content string } }
		if err := json.Unmarshal([]byte(line), &chunk); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		text.WriteString(chunk.Message.Content)
	}
	if status != 200 || text.String() != scriptedmodel.HelloText {
		t.Errorf("%d %s", status, body)
	}
	checkRecord(t, g.recordWith("user.id", "native"), record{
		"gen_ai.operation.name": "chat", "gen_ai.request.stream": true, "event.reason": "ok",
		"gen_ai.usage.output_tokens": scriptedmodel.Hello.Script(scriptedmodel.AssistantTurn).EvalCount(),
	})
	if status, body := send("/api/pull", `{"model":"hello"}`); status != 404 {
		t.Errorf("pull: %d %s", status, body)
	}
}
