package translate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// sentToEngine is what an engine is sent for a chat request.
func sentToEngine(t *testing.T, body string, settings translate.Settings) string {
	t.Helper()
	req, err := translate.DecodeChat([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	draft, err := translate.DraftChat(req)
	if err != nil {
		t.Fatal(err)
	}
	settings.Engine, settings.Model = true, "m"
	exchange, err := draft.For(settings)
	if err != nil {
		t.Fatal(err)
	}
	if exchange.Load != nil {
		t.Error("an engine is asked to load a model")
	}
	sent, err := translate.Encoded(exchange.Requests[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(sent)
}

const engineTail = `"stream":true,"stream_options":{"include_usage":true}}`

func TestEngineRequest(t *testing.T) {
	const hi = `"messages":[{"role":"user","content":"hi"}]`
	five := 5.0
	for _, test := range []struct {
		name, body string
		settings   translate.Settings
		want       string
	}{
		{"a plain chat", `{"model":"x",` + hi + `}`, translate.Settings{}, hi},
		{"a developer is the system, and parts of text are one text",
			`{"messages":[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b\u00e9"}]},{"role":"user","content":"hi"}]}`,
			translate.Settings{}, `"messages":[{"role":"system","content":"a\nb\u00e9"},{"role":"user","content":"hi"}]`},
		{"system text is folded into the user's if the server wants that",
			`{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}`,
			translate.Settings{MergeSystem: true}, `"messages":[{"role":"user","content":"s\n\nhi"}]`},
		{"into his parts too",
			`{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}`,
			translate.Settings{MergeSystem: true},
			`"messages":[{"role":"user","content":[{"type":"text","text":"s"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]`},
		{"system text alone becomes a user's",
			`{"messages":[{"role":"system","content":"s"}]}`, translate.Settings{MergeSystem: true}, `"messages":[{"role":"user","content":"s"}]`},
		{"pictures and sounds keep their places",
			`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"high"}},{"type":"text","text":"a"},{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]}]}`,
			translate.Settings{}, `"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"text","text":"a"},{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]}]`},
		{"calls and their results, by ids that the client has altered",
			`{"messages":[{"role":"assistant","content":null,"reasoning":"r","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"z\":1,\"a\":2}"}}]},{"role":"tool","tool_call_id":"call1","content":"ok"}]}`,
			translate.Settings{}, `"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"z\":1,\"a\":2}"}}],"reasoning_content":"r"},{"role":"tool","content":"ok","tool_call_id":"call_1","name":"f"}]`},
		{"a schema for the answer", `{` + hi + `,"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object"}}}}`,
			translate.Settings{}, hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"type":"object"}}}`},
		{"any object for the answer", `{` + hi + `,"response_format":{"type":"json_object"}}`,
			translate.Settings{}, hi + `,"response_format":{"type":"json_object"}`},
		{"an effort", `{` + hi + `,"reasoning_effort":"minimal"}`, translate.Settings{}, hi + `,"reasoning_effort":"low"`},
		{"the highest effort", `{` + hi + `,"reasoning_effort":"xhigh"}`, translate.Settings{}, hi + `,"reasoning_effort":"high"`},
		{"no thinking", `{` + hi + `,"reasoning_effort":"none"}`, translate.Settings{},
			hi + `,"think":false,"chat_template_kwargs":{"enable_thinking":false}`},
		{"probabilities", `{` + hi + `,"logprobs":true,"top_logprobs":2}`, translate.Settings{}, hi + `,"logprobs":true,"top_logprobs":2`},
		{"options under the names of engines, and what they have none for among Ollama's",
			`{` + hi + `,"options":{"num_ctx":4096,"repeat_penalty":1.1,"typical_p":0.9},"keep_alive":5,"max_completion_tokens":3,"stop":"x"}`,
			translate.Settings{}, hi + `,"typical_p":0.9,"repeat_penalty":1.1,"repetition_penalty":1.1,"max_tokens":3,"stop":["x"],"options":{"num_ctx":4096,"typical_p":0.9},"keep_alive":5`},
		{"endless has no number", `{` + hi + `,"options":{"num_predict":-1}}`, translate.Settings{}, hi},
		{"a limit bounds", `{` + hi + `,"options":{"num_predict":-1}}`,
			translate.Settings{Rules: policy.Rules{Limits: map[string]float64{"num_predict": 9}}}, hi + `,"max_tokens":9`},
		{"the server's keep_alive bounds the client's", `{` + hi + `,"keep_alive":-1}`,
			translate.Settings{Rules: policy.Rules{KeepAlive: &five}}, hi + `,"keep_alive":5`},
		{"of the tools those that may be called, with the order of their schemas",
			`{` + hi + `,"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"z":1,"a":2}}},{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"function":{"name":"f"}}]}},"parallel_tool_calls":false}`,
			translate.Settings{}, hi + `,"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"z":1,"a":2}}}],"parallel_tool_calls":false`},
		{"no tools where none may be called", `{` + hi + `,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none"}`, translate.Settings{}, hi},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := sentToEngine(t, test.body, test.settings)
			if want := `{"model":"m",` + test.want + `,` + engineTail; got != want {
				t.Errorf("sends\n%s, want\n%s", got, want)
			}
		})
	}
}

func TestEngineTextRequest(t *testing.T) {
	req, err := translate.DecodeText([]byte(`{"prompt":["a","b"],"suffix":"s","logprobs":2,"max_tokens":4,"n":2,"seed":1,"echo":true,"raw":true}`))
	if err != nil {
		t.Fatal(err)
	}
	draft, err := translate.DraftText(req)
	if err != nil {
		t.Fatal(err)
	}
	exchange, err := draft.For(translate.Settings{Engine: true, Model: "m"})
	if err != nil || exchange.Path != "/v1/completions" || len(exchange.Requests) != 4 || len(exchange.Answer.Echo) != 4 {
		t.Fatalf("%+v, %v", exchange, err)
	}
	got, err := translate.Encoded(exchange.Requests[3])
	want := `{"model":"m","prompt":"b","suffix":"s","raw":true,"logprobs":2,"seed":2,"max_tokens":4,` + engineTail
	if err != nil || string(got) != want {
		t.Errorf("sends\n%s, want\n%s", got, want)
	}
}

// engineChunkOf is a line with a chunk that has this choice.
func engineChunkOf(choice string) string {
	return `data: {"model":"real","choices":[{"index":0,` + choice + `}]}` + "\n\n"
}

func TestEngineStream(t *testing.T) {
	text := func(s string) string { return engineChunkOf(`"delta":{"content":"` + s + `"},"finish_reason":null`) }
	stop := engineChunkOf(`"delta":{},"finish_reason":"stop"`)
	const usage = `data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}` + "\n\n"
	const done = "data: [DONE]\n\n"
	call := func(fragment string) string {
		return engineChunkOf(`"delta":{"tool_calls":[` + fragment + `]},"finish_reason":null`)
	}
	for _, test := range []struct {
		name, stream string
		content      string
		calls        string // name(arguments) …
		finish       string
		usage        string // prompt, completion, cached, counted
		fails        error
	}{
		{"content, reason, usage, [DONE]", text("a") + text("b") + stop + usage + done, "ab", "", "stop", "3 4 2 true", nil},
		{"usage with the last words", text("a") + `data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}` + "\n\n" + done, "ab", "", "length", "1 2 0 true", nil},
		{"null wherever there may be nothing", `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":null},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n" + text("a") + stop + usage + done, "a", "", "stop", "3 4 2 true", nil},
		{"no usage at all is an estimate", text("a") + text("b") + stop + done, "ab", "", "stop", "0 2 0 false", nil},
		{"lines that end in CR LF", strings.ReplaceAll(text("a")+stop+usage+done, "\n", "\r\n"), "a", "", "stop", "3 4 2 true", nil},
		{"no blank after data:", "data:" + strings.TrimPrefix(text("a"), "data: ") + stop + usage + "data:[DONE]\n\n", "a", "", "stop", "3 4 2 true", nil},
		{"comments, events and ids between them", ": ping\n\nevent: message\nid: 1\nretry: 5\n" + text("a") + stop + usage + done, "a", "", "stop", "3 4 2 true", nil},
		{"what comes after [DONE] is not looked at", text("a") + stop + usage + done + "garbage\n", "a", "", "stop", "3 4 2 true", nil},
		{"choices that nobody asked for", text("a") + `data: {"choices":[{"index":1,"delta":{"content":"X"},"finish_reason":"length"}]}` + "\n\n" + stop + usage + done, "a", "", "stop", "3 4 2 true", nil},
		{"a reason of its own is a stop", text("a") + engineChunkOf(`"delta":{},"finish_reason":"eos_token"`) + usage + done, "a", "", "stop", "3 4 2 true", nil},
		{"an end of the body without [DONE], but with a reason", text("a") + stop, "a", "", "stop", "0 1 0 false", nil},
		{"a call in fragments", call(`{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\""}}`) + call(`{"index":0,"function":{"arguments":":1}"}}`) + engineChunkOf(`"delta":{},"finish_reason":"tool_calls"`) + usage + done, "", `f({"a":1})`, "tool_calls", "3 4 2 true", nil},
		{"calls that all say they are the first", call(`{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}`) + call(`{"index":0,"id":"y","function":{"name":"g","arguments":"{"}}`) + call(`{"index":0,"function":{"arguments":"}"}}`) + stop + usage + done, "", `f({}) g({})`, "tool_calls", "3 4 2 true", nil},
		{"two calls that come at once", call(`{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"y","function":{"name":"g","arguments":"{}"}}`) + stop + usage + done, "", `f({}) g({})`, "tool_calls", "3 4 2 true", nil},
		{"fragments that turn by turn belong to two calls", call(`{"index":0,"id":"x","function":{"name":"f","arguments":"{"}}`) + call(`{"index":1,"id":"y","function":{"name":"g","arguments":"{"}}`) + call(`{"index":0,"function":{"arguments":"}"}}`) + call(`{"index":1,"function":{"arguments":"}"}}`) + stop + usage + done, "", `f({}) g({})`, "tool_calls", "3 4 2 true", nil},

		{"[DONE] without a reason", text("a") + done, "", "", "", "", translate.ErrCutShort},
		{"an end without a reason", text("a"), "", "", "", "", translate.ErrCutShort},
		{"a page of HTML", "<html>\n", "", "", "", "", translate.ErrGarbage},
		{"an event that is no JSON", "data: {\n\n", "", "", "", "", translate.ErrGarbage},
		{"arguments without end", strings.Repeat(call(`{"index":0,"function":{"arguments":"`+strings.Repeat("x", 1<<20)+`"}}`), 9), "", "", "", "", translate.ErrGarbage},
		{"vLLM's error of old", `data: {"object":"error","message":"boom","code":500}` + "\n\n", "", "", "", "", translate.ErrUpstream},
		{"llama.cpp's error of old", `error: {"code":500,"message":"boom"}` + "\n\n", "", "", "", "", translate.ErrUpstream},
		{"another gateway's timeout", `data: {"error":{"message":"m","type":"server_error","param":null,"code":"upstream_timeout"}}` + "\n\n", "", "", "", "", translate.ErrStalled},
	} {
		for _, cut := range []int{1, 7, 1 << 30} {
			t.Run(fmt.Sprintf("%s, in pieces of %d", test.name, cut), func(t *testing.T) {
				if cut < 7 && len(test.stream) > 1<<20 {
					t.Skip("megabytes byte by byte; larger pieces have to do")
				}
				whole := translate.NewWhole(translate.Identity{}, translate.AnswerForm{Choices: 1, Engine: true})
				var err error
				for piece := range slices.Chunk([]byte(test.stream), cut) {
					if _, err = whole.Write(piece); err != nil {
						break
					}
				}
				if err == nil {
					_, err = whole.CloseChoice()
				}
				if test.fails != nil {
					if !errors.Is(err, test.fails) {
						t.Errorf("fails with %v, want %v", err, test.fails)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				choice := whole.Completion().(*openai.Completion).Choices[0]
				var content string
				if choice.Message.Content != nil {
					content = *choice.Message.Content
				}
				var calls []string
				for _, call := range choice.Message.ToolCalls {
					calls = append(calls, call.Function.Name+"("+call.Function.Arguments+")")
				}
				s := whole.Summary()
				count := fmt.Sprint(s.PromptTokens, s.CompletionTokens, s.CachedTokens, s.Counted)
				if content != test.content || strings.Join(calls, " ") != test.calls || choice.FinishReason != test.finish || count != test.usage {
					t.Errorf("says %q %q %q %q", content, calls, choice.FinishReason, count)
				}
			})
		}
	}
}

func TestAnEnginesAnswerEndsSomewhere(t *testing.T) {
	// two pieces may be one token; that there are more is beyond what was asked for
	whole := translate.NewWhole(translate.Identity{}, translate.AnswerForm{Choices: 1, Engine: true, MaxTokens: 4})
	for range 5 {
		if _, err := whole.Write([]byte(engineChunkOf(`"delta":{"content":"x"}`))); err != nil {
			t.Fatal(err)
		}
	}
	if !whole.Stopped() {
		t.Error("it goes on")
	}
}

func TestEngineLogprobs(t *testing.T) {
	whole := translate.NewWhole(translate.Identity{}, translate.AnswerForm{Choices: 1, Engine: true, Logprobs: true})
	for _, line := range []string{
		engineChunkOf(`"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1,"bytes":[98]}]}]}`),
		engineChunkOf(`"delta":{},"finish_reason":"stop"`), "data: [DONE]\n",
	} {
		if _, err := whole.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := whole.CloseChoice()
	if want := `"logprobs":{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1,"bytes":[98]}]}],"refusal":null}`; err != nil || !strings.Contains(string(got), want) {
		t.Errorf("got %s, %v", got, err)
	}
	text := translate.NewWhole(translate.Identity{}, translate.AnswerForm{Choices: 1, Engine: true, Logprobs: true, Text: true})
	for _, line := range []string{
		engineChunkOf(`"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[-0.5],"top_logprobs":[{"a":-0.5}],"text_offset":[0]}`),
		engineChunkOf(`"text":"","finish_reason":"stop"`), "data: [DONE]\n",
	} {
		if _, err := text.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	got, err = text.CloseChoice()
	if want := `"logprobs":{"tokens":["a"],"token_logprobs":[-0.5],"top_logprobs":[{"a":-0.5}],"text_offset":[0]}`; err != nil || !strings.Contains(string(got), want) {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestEngineFault(t *testing.T) {
	for _, test := range []struct {
		name    string
		status  int
		body    string
		want    int
		code    string
		param   string
		message string // contained
	}{
		{"vLLM's", 400, `{"error":{"message":"This model's maximum context length is 4096 tokens. However","type":"BadRequestError","param":null,"code":400}}`, 400, "context_length_exceeded", "messages", "of 4096 tokens"},
		{"vLLM's of old", 400, `{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}`, 400, "context_length_exceeded", "messages", "of 4096 tokens"},
		{"vLLM's of its prompt", 400, `{"error":{"message":"The decoder prompt (length 5000) is longer than the maximum model length of 2048. Make sure","code":400}}`, 400, "context_length_exceeded", "messages", "of 2048 tokens"},
		{"TGI's", 422, "{\"error\":\"Input validation error: `inputs` must have less than 1000 tokens. Given: 1234\",\"error_type\":\"validation\"}", 400, "context_length_exceeded", "messages", "of 1000 tokens"},
		{"llama.cpp's", 400, `{"error":{"code":400,"message":"request (20 tokens) exceeds","type":"exceed_context_size_error","n_prompt_tokens":20,"n_ctx":10}}`, 400, "context_length_exceeded", "messages", "has 20 tokens and the model's context 10"},
		{"another gateway's", 400, `{"error":{"message":"the conversation is longer","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, 400, "context_length_exceeded", "messages", "longer"},
		{"another gateway's of a field", 400, `{"error":{"message":"m","type":"invalid_request_error","param":"messages[0].content","code":"invalid_type"}}`, 400, "invalid_type", "messages[0].content", "refused"},
		{"another gateway's of images", 400, `{"error":{"message":"messages: the model does not support images","type":"invalid_request_error","param":"messages","code":"unsupported_parameter"}}`, 400, "unsupported_parameter", "messages", "does not support images"},
		{"a field that repeats the input is not told", 400, `{"error":{"message":"m","param":"x y CANARY","code":"CANARY"}}`, 400, "invalid_value", "", "refused"},
		{"a model of another gateway's that is not for this client", 404, `{"error":{"message":"m","param":"model","code":"model_not_found"}}`, 404, "model_not_found", "model", ""},
		{"vLLM's model that is not there", 404, `{"error":{"message":"The model x does not exist.","type":"NotFoundError","param":"model","code":404}}`, 404, "model_not_found", "model", ""},
		{"a page that is not there tells of no model", 404, `{"detail":"Not Found"}`, 502, "upstream_error", "", ""},
		{"vLLM without tools", 400, `{"error":{"message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","code":400}}`, 400, "unsupported_parameter", "tools", "not set up for tools"},
		{"llama.cpp without pictures", 500, `{"error":{"code":500,"message":"image input is not supported","type":"server_error"}}`, 502, "upstream_error", "", ""},
		{"llama.cpp without embeddings", 501, `{"error":{"code":501,"message":"This server does not support embeddings. Start it with --embeddings","type":"not_supported_error"}}`, 400, "unsupported_parameter", "model", "no embeddings"},
		{"a code that is a number in quotes", 400, `{"error":{"message":"m","code":"400"}}`, 400, "invalid_value", "", ""},
		{"no JSON", 500, `boom`, 502, "upstream_error", "", ""},
		{"nothing", 400, ``, 400, "invalid_value", "", ""},
		{"too much to do", 429, `{"error":"Model is overloaded","error_type":"overloaded"}`, 503, "server_overloaded", "", ""},
		{"another gateway's timeout", 504, `{}`, 504, "upstream_timeout", "", ""},
		{"a key that is not the right one", 401, `{}`, 502, "upstream_error", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, fault := translate.UpstreamFault("/v1/chat/completions", test.status, []byte(test.body))
			if status != test.want || fault.Code != test.code || fault.Param != test.param || !strings.Contains(fault.Message, test.message) {
				t.Errorf("becomes %d %+v", status, fault)
			}
			if strings.Contains(fmt.Sprint(fault), "CANARY") {
				t.Errorf("it repeats the input: %+v", fault)
			}
		})
	}
	if _, fault := translate.UpstreamFault("/v1/completions", 400, []byte(`{"error":{"message":"maximum context length is 9"}}`)); fault.Param != "prompt" {
		t.Errorf("of a text it blames %q", fault.Param)
	}
}

func TestEngineVectors(t *testing.T) {
	req := &openai.EmbeddingRequest{Input: openai.Prompt{Texts: []string{"a", "b"}}}
	for _, test := range []struct {
		name, body string
		fails      error
	}{
		{"an index twice", `{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`, translate.ErrGarbage},
		{"an index beyond", `{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}`, translate.ErrGarbage},
		{"too few", `{"data":[{"index":0,"embedding":[1]}]}`, translate.ErrCutShort},
		{"a vector that is none", `{"data":[{"index":0,"embedding":null},{"index":1,"embedding":[1]}]}`, translate.ErrGarbage},
		{"no JSON", `x`, translate.ErrGarbage},
	} {
		t.Run(test.name, func(t *testing.T) {
			exchange := translate.EmbedRequest(req, translate.Settings{Engine: true, Model: "m"})
			if _, _, err := exchange.Embeddings([]byte(test.body), req, "m"); !errors.Is(err, test.fails) {
				t.Errorf("fails with %v", err)
			}
		})
	}
}

func TestEndlessByDefaultHasNoNumber(t *testing.T) {
	// as Caddy's JSON has it
	settings := translate.Settings{Rules: policy.Rules{Defaults: map[string]any{"num_predict": float64(-1), "temperature": 0.5}}}
	got := sentToEngine(t, `{"messages":[{"role":"user","content":"hi"}]}`, settings)
	if strings.Contains(got, "max_tokens") || !strings.Contains(got, `"temperature":0.5`) {
		t.Errorf("sends %s", got)
	}
}
