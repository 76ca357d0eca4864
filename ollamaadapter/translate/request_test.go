package translate_test

import (
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// native translates a body that is right, and returns the JSON for Ollama.
func native(t *testing.T, body string, settings translate.Settings) string {
	t.Helper()
	req, err := translate.DecodeChat([]byte(body))
	if err != nil {
		t.Fatalf("decoding %s: %v", body, err)
	}
	out, err := exchange(req, complete(settings, req))
	if err != nil {
		t.Fatalf("translating %s: %v", body, err)
	}
	data, err := translate.Encoded(out.Requests[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sent is a native request as Ollama reads it.
func sent(t *testing.T, native any) (req ollama.ChatRequest) {
	t.Helper()
	data, err := translate.Encoded(native)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &req); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return req
}

// exchange is a chat request for the upstream of these settings.
func exchange(req *openai.ChatRequest, settings translate.Settings) (*translate.Exchange, error) {
	draft, err := translate.DraftChat(req)
	if err != nil {
		return nil, err
	}
	return draft.For(settings)
}

// refusal drafts a request that decodes but is refused, whatever the upstream.
func refusal(t *testing.T, body string) *openai.Error {
	t.Helper()
	req, err := translate.DecodeChat([]byte(body))
	if err != nil {
		t.Fatalf("decoding %s: %v", body, err)
	}
	if _, err = translate.DraftChat(req); err == nil {
		t.Fatalf("accepted: %s", body)
	}
	return openaiError(t, err)
}

// complete fills in what most cases do not speak of: the model that the client
// asks for, on an Ollama that understands everything but is let truncate.
func complete(settings translate.Settings, req *openai.ChatRequest) translate.Settings {
	if settings.Model == "" {
		settings.Model = req.Model
	}
	if settings.Features == (ollama.Features{}) {
		settings.Features, settings.CutOverflow = ollama.Newest, true
	}
	return settings
}

// asking is a request for one word that has these fields besides.
func asking(fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return `{"model":"m","messages":[{"role":"user","content":"hi"}]` + fields + `}`
}

func TestChatRequestFields(t *testing.T) {
	const plain = `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true`
	for _, test := range []struct{ name, fields, want string }{
		{"what the client leaves open stays open", ``, `}`},
		{"temperature", `"temperature":0.5`, `,"options":{"temperature":0.5}}`},
		{"a temperature of zero is not a missing one", `"temperature":0`, `,"options":{"temperature":0}}`},
		{"the highest temperature", `"temperature":2`, `,"options":{"temperature":2}}`},
		{"top_p", `"top_p":0.9`, `,"options":{"top_p":0.9}}`},
		{"top_p at both ends", `"top_p":0`, `,"options":{"top_p":0}}`},
		{"frequency_penalty", `"frequency_penalty":-2`, `,"options":{"frequency_penalty":-2}}`},
		{"presence_penalty", `"presence_penalty":2`, `,"options":{"presence_penalty":2}}`},
		{"seed", `"seed":42`, `,"options":{"seed":42}}`},
		{"a seed of zero is a seed", `"seed":0`, `,"options":{"seed":0}}`},
		{"a seed keeps all its digits", `"seed":9223372036854775807`, `,"options":{"seed":9223372036854775807}}`},
		{"max_tokens", `"max_tokens":7`, `,"options":{"num_predict":7}}`},
		{"max_completion_tokens", `"max_completion_tokens":8`, `,"options":{"num_predict":8}}`},
		{"of both limits the newer name counts", `"max_completion_tokens":8,"max_tokens":7`, `,"options":{"num_predict":8}}`},
		{"stop as a string", `"stop":"END"`, `,"options":{"stop":["END"]}}`},
		{"stop as an array", `"stop":["a","b"]`, `,"options":{"stop":["a","b"]}}`},
		{"an empty array stops at nothing", `"stop":[]`, `}`},
		{"text is what models write anyway", `"response_format":{"type":"text"}`, `}`},
		{"any JSON", `"response_format":{"type":"json_object"}`, `,"format":"json"}`},
		{"JSON of a schema goes on as it is",
			`"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"z":{"$ref":"#"},"a":1}}}`,
			`,"format":{"z":{"$ref":"#"},"a":1}}`},
		{"no reasoning", `"reasoning_effort":"none"`, `,"think":false}`},
		{"some reasoning is the model's own default", `"reasoning_effort":"low"`, `}`},
		{"much reasoning is the model's own default", `"reasoning_effort":"xhigh"`, `}`},
		{"one choice", `"n":1`, `}`},
		{"no bias", `"logit_bias":{}`, `}`},
		{"no logprobs", `"logprobs":false,"top_logprobs":0`, `}`},
		{"text output", `"modalities":["text"]`, `}`},
		{"no functions", `"functions":[]`, `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := native(t, asking(test.fields), translate.Settings{})
			if want := plain + test.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// Ollama is asked for a stream whatever the client wants: of a stream one can tell
// whether it still goes on.
func TestChatRequestStream(t *testing.T) {
	const tools = `"tools":[{"type":"function","function":{"name":"f"}}]`
	for _, test := range []struct{ name, fields, version, want string }{
		{"a whole answer", ``, "", `"stream":true`},
		{"a stream", `"stream":true`, "", `"stream":true`},
		{"tools", tools, "0.8.0", `"stream":true`},
		{"tools of an Ollama that finds no calls in its streams", `"stream":true,` + tools, "0.7.1", `"stream":false`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := native(t, asking(test.fields), translate.Settings{Features: ollama.FeaturesOf(test.version)}); !strings.Contains(got, test.want) {
				t.Errorf("%s lacks %s", got, test.want)
			}
		})
	}
}

func TestChatRequestTools(t *testing.T) {
	const (
		tools  = `"tools":[{"type":"function","function":{"name":"f","description":"d","strict":true,"parameters":{"type":"object","z":1,"a":2}}}]`
		passed = `"tools":[{"type":"function","function":{"name":"f","description":"d (z: 1; a: 2)","parameters":{"type":"object","properties":{}}}}]`
	)
	for _, test := range []struct{ name, fields, want string }{
		{"tools go on, their schemas' keys in order", tools, passed},
		{"auto is the default", tools + `,"tool_choice":"auto"`, passed},
		{"a tool without parameters has none",
			`"tools":[{"type":"function","function":{"name":"f"}}]`,
			`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]`},
		{"a tool whose parameters are null has none",
			`"tools":[{"type":"function","function":{"name":"f","parameters":null}}]`,
			`"parameters":{"type":"object","properties":{}}`},
		{"several tools keep their order",
			`"tools":[{"type":"function","function":{"name":"z"}},{"type":"function","function":{"name":"a"}}]`,
			`{"name":"z","parameters":{"type":"object","properties":{}}}},{"type":"function","function":{"name":"a",`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := native(t, asking(test.fields), translate.Settings{}); !strings.Contains(got, test.want) {
				t.Errorf("got %s\nwhich lacks %s", got, test.want)
			}
		})
	}
	for _, test := range []struct{ name, fields string }{
		{"with tool_choice none the model sees no tool", tools + `,"tool_choice":"none"`},
		{"no tools are no tools", `"tools":[]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := native(t, asking(test.fields), translate.Settings{}); strings.Contains(got, "tools") {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestChatRequestRefusals(t *testing.T) {
	for _, test := range []struct{ name, fields, param, code string }{
		{"a temperature below the range", `"temperature":-0.1`, "temperature", openai.CodeInvalidValue},
		{"a temperature above the range", `"temperature":2.1`, "temperature", openai.CodeInvalidValue},
		{"top_p below the range", `"top_p":-0.1`, "top_p", openai.CodeInvalidValue},
		{"top_p above the range", `"top_p":1.1`, "top_p", openai.CodeInvalidValue},
		{"a frequency penalty below the range", `"frequency_penalty":-2.1`, "frequency_penalty", openai.CodeInvalidValue},
		{"a frequency penalty above the range", `"frequency_penalty":2.1`, "frequency_penalty", openai.CodeInvalidValue},
		{"a presence penalty below the range", `"presence_penalty":-2.1`, "presence_penalty", openai.CodeInvalidValue},
		{"a presence penalty above the range", `"presence_penalty":2.1`, "presence_penalty", openai.CodeInvalidValue},
		{"no tokens at all", `"max_tokens":0`, "max_tokens", openai.CodeInvalidValue},
		{"a negative number of tokens", `"max_completion_tokens":-1`, "max_completion_tokens", openai.CodeInvalidValue},
		{"the older limit, even where the newer counts", `"max_tokens":-1,"max_completion_tokens":5`, "max_tokens", openai.CodeInvalidValue},
		{"more than eight choices", `"n":9`, "n", openai.CodeInvalidValue},
		{"no choice", `"n":0`, "n", openai.CodeInvalidValue},
		{"a bias", `"logit_bias":{"CANARY":1}`, "logit_bias", openai.CodeUnsupported},
		{"top_logprobs without logprobs", `"top_logprobs":5`, "top_logprobs", openai.CodeInvalidValue},
		{"more than 20 top_logprobs", `"logprobs":true,"top_logprobs":21`, "top_logprobs", openai.CodeInvalidValue},
		{"a voice", `"audio":{"voice":"CANARY"}`, "audio", openai.CodeUnsupported},
		{"speech", `"modalities":["text","audio"]`, "audio", openai.CodeUnsupported},
		{"functions, the forerunner of tools", `"functions":[{"name":"CANARY"}]`, "functions", openai.CodeUnsupported},
		{"a call that is required of no tools", `"tool_choice":"required"`, "tool_choice", openai.CodeInvalidValue},
		{"a named tool that is not there", `"tool_choice":{"type":"function","function":{"name":"CANARY"}},"tools":[{"type":"function","function":{"name":"f"}}]`, "tool_choice", openai.CodeInvalidValue},
		{"a tool choice nobody knows", `"tool_choice":"CANARY"`, "tool_choice", openai.CodeInvalidValue},
		{"a tool choice of another type", `"tool_choice":5`, "tool_choice", openai.CodeInvalidValue},
		{"a min_p above the range", `"min_p":1.5`, "min_p", openai.CodeInvalidValue},
		{"a negative top_k", `"top_k":-1`, "top_k", openai.CodeInvalidValue},
		{"a context of nothing", `"num_ctx":0`, "num_ctx", openai.CodeInvalidValue},
		{"an option of a wrong type", `"options":{"top_k":"CANARY"}`, "options.top_k", openai.CodeInvalidType},
		{"an option's number as text", `"options":{"top_k":"5"}`, "options.top_k", openai.CodeInvalidType},
		{"a think nobody knows", `"think":"CANARY"`, "think", openai.CodeInvalidValue},
		{"a think of another type", `"think":5`, "think", openai.CodeInvalidType},
		{"an effort nobody knows in reasoning", `"reasoning":{"effort":"CANARY"}`, "reasoning.effort", openai.CodeInvalidValue},
		{"a tool that is no function", `"tools":[{"type":"CANARY","function":{"name":"f"}}]`, "tools[0].type", openai.CodeInvalidValue},
		{"a tool without a name", `"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"description":"CANARY"}}]`, "tools[1].function.name", openai.CodeMissing},
		{"a tool whose parameters are no object", `"tools":[{"type":"function","function":{"name":"f","parameters":["CANARY"]}}]`, "tools[0].function.parameters", openai.CodeInvalidType},
		{"a tool whose parameters are no object, though it may not be called", `"tool_choice":"none","tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g","parameters":"CANARY"}}]`, "tools[1].function.parameters", openai.CodeInvalidType},
		{"a format nobody knows", `"response_format":{"type":"CANARY"}`, "response_format.type", openai.CodeInvalidValue},
		{"a format without a type", `"response_format":{}`, "response_format.type", openai.CodeInvalidValue},
		{"a schema format without a schema", `"response_format":{"type":"json_schema"}`, "response_format.json_schema.schema", openai.CodeMissing},
		{"a schema format with null for the schema", `"response_format":{"type":"json_schema","json_schema":{"schema":null}}`, "response_format.json_schema.schema", openai.CodeMissing},
		{"a schema that is no object", `"response_format":{"type":"json_schema","json_schema":{"schema":"CANARY"}}`, "response_format.json_schema.schema", openai.CodeInvalidType},
		{"a reasoning effort nobody knows", `"reasoning_effort":"CANARY"`, "reasoning_effort", openai.CodeInvalidValue},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := refusal(t, asking(test.fields))
			if e.Param != test.param || e.Code != test.code || e.Type != openai.TypeInvalidRequest {
				t.Errorf("param %q, code %q, type %q; want %q, %q", e.Param, e.Code, e.Type, test.param, test.code)
			}
		})
	}
}

func TestChatRequestDefaultsYieldToTheClient(t *testing.T) {
	defaults := map[string]any{"temperature": 0.7, "num_ctx": int64(32768), "num_predict": int64(100), "seed": int64(1)}
	before := maps.Clone(defaults)
	settings := translate.Settings{Rules: policy.Rules{Defaults: defaults}}
	for _, test := range []struct{ name, fields, want string }{
		{"a silent client gets all of them", ``, `{"num_ctx":32768,"num_predict":100,"seed":1,"temperature":0.7}`},
		{"a client's value counts, zero too", `"temperature":0,"seed":0`, `{"num_ctx":32768,"num_predict":100,"seed":0,"temperature":0}`},
		{"a client's limit counts", `"max_completion_tokens":5`, `{"num_ctx":32768,"num_predict":5,"seed":1,"temperature":0.7}`},
		{"null leaves it to the server", `"temperature":null,"max_tokens":null`, `{"num_ctx":32768,"num_predict":100,"seed":1,"temperature":0.7}`},
		{"no client sets what a model is loaded with", `"num_ctx":9,"options":{"num_ctx":9}`, `{"num_ctx":32768,"num_predict":100,"seed":1,"temperature":0.7}`},
		{"one client's wishes are not the next one's defaults", ``, `{"num_ctx":32768,"num_predict":100,"seed":1,"temperature":0.7}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := native(t, asking(test.fields), settings)
			if want := `"options":` + test.want; !strings.Contains(got, want) {
				t.Errorf("got %s\nwhich lacks %s", got, want)
			}
			if !maps.Equal(defaults, before) {
				t.Errorf("the defaults have become %v", defaults)
			}
		})
	}
}

func TestADraftServesAnyUpstream(t *testing.T) {
	body := `{"model":"m","seed":1,"n":2,"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}],"tool_choice":"required",` + twoTools + `}`
	req, err := translate.DecodeChat([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	draft, err := translate.DraftChat(req)
	if err != nil {
		t.Fatal(err)
	}
	settings := complete(translate.Settings{MergeSystem: true}, req)
	first, err := draft.For(settings)
	if err != nil {
		t.Fatal(err)
	}
	settings.MergeSystem = false
	if _, err := draft.For(settings); err != nil {
		t.Fatal(err)
	}
	settings.MergeSystem = true
	again, err := draft.For(settings)
	if err != nil {
		t.Fatal(err)
	}
	for i := range first.Requests {
		if got, want := sent(t, again.Requests[i]), sent(t, first.Requests[i]); !reflect.DeepEqual(got, want) {
			t.Errorf("choice %d\ngot  %+v\nwant %+v", i, got, want)
		}
	}
}
