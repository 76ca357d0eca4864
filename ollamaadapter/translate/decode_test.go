package translate_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// canary stands where the tests put something wrong. No error may repeat it.
const canary = "CANARY"

func TestDecodeChatNamesTheFieldAtFault(t *testing.T) {
	for _, test := range []struct{ name, body, param string }{
		{"an array for the body", `["CANARY"]`, ""},
		{"a string for the body", `"CANARY"`, ""},
		{"an object for the model", `{"model":{"CANARY":1}}`, "model"},
		{"a string for the messages", `{"messages":"CANARY"}`, "messages"},
		{"an object for the messages", `{"messages":{"CANARY":[]}}`, "messages"},
		{"a string for a message", `{"messages":[{},"CANARY"]}`, "messages[1]"},
		{"an array for a role", `{"messages":[{"role":["CANARY"]}]}`, "messages[0].role"},
		{"a number for the content", `{"messages":[{"CANARY":"CANARY","content":5}]}`, "messages[0].content"},
		{"an object for the content", `{"messages":[{"content":{"CANARY":"CANARY"}}]}`, "messages[0].content"},
		{"true for the content", `{"messages":[{},{},{"content":true}]}`, "messages[2].content"},
		{"a string for a part", `{"messages":[{"content":["CANARY"]}]}`, "messages[0].content[0]"},
		{"an array for a part's text", `{"messages":[{},{"content":[{},{},{"text":["CANARY"]}]}]}`, "messages[1].content[2].text"},
		{"a number for an image", `{"messages":[{"content":[{"image_url":5}]}]}`, "messages[0].content[0].image_url"},
		{"an object for an image's URL", `{"messages":[{"content":[{"image_url":{"url":{"CANARY":1}}}]}]}`, "messages[0].content[0].image_url.url"},
		{"an object for the tool calls", `{"messages":[{"tool_calls":{"CANARY":1}}]}`, "messages[0].tool_calls"},
		{"an object for a call's arguments", `{"messages":[{"tool_calls":[{"function":{"arguments":{"CANARY":1}}}]}]}`, "messages[0].tool_calls[0].function.arguments"},
		{"a number for a call's id", `{"messages":[{"tool_calls":[{"id":1}]}]}`, "messages[0].tool_calls[0].id"},
		{"a number for a result's id", `{"messages":[{"tool_call_id":1}]}`, "messages[0].tool_call_id"},
		{"a string for stream", `{"stream":"CANARY"}`, "stream"},
		{"a string for include_usage", `{"stream_options":{"include_usage":"CANARY"}}`, "stream_options.include_usage"},
		{"a string for the temperature", `{"temperature":"CANARY"}`, "temperature"},
		{"a number out of range for the temperature", `{"temperature":1e999}`, "temperature"},
		{"a string for top_p", `{"top_p":"CANARY"}`, "top_p"},
		{"an object for the frequency penalty", `{"frequency_penalty":{"CANARY":1}}`, "frequency_penalty"},
		{"an object for the presence penalty", `{"presence_penalty":{"CANARY":1}}`, "presence_penalty"},
		{"a fraction for the seed", `{"seed":1.5}`, "seed"},
		{"a seed of more than 64 bits", `{"seed":99999999999999999999}`, "seed"},
		{"a string for max_tokens", `{"max_tokens":"CANARY"}`, "max_tokens"},
		{"a string for max_completion_tokens", `{"max_completion_tokens":"CANARY"}`, "max_completion_tokens"},
		{"a number for stop", `{"stop":5}`, "stop"},
		{"an object for stop", `{"stop":{"CANARY":1}}`, "stop"},
		{"an array within stop", `{"stop":["a",["CANARY"]]}`, "stop[1]"},
		{"an object for the tools", `{"tools":{"CANARY":1}}`, "tools"},
		{"an array for a tool's name", `{"tools":[{},{"function":{"name":["CANARY"]}}]}`, "tools[1].function.name"},
		{"a string for a tool's function", `{"tools":[{"function":"CANARY"}]}`, "tools[0].function"},
		{"a string for the response format", `{"response_format":"CANARY"}`, "response_format"},
		{"a string for the JSON schema", `{"response_format":{"json_schema":"CANARY"}}`, "response_format.json_schema"},
		{"an array for the reasoning effort", `{"reasoning_effort":["CANARY"]}`, "reasoning_effort"},
		{"a string for n", `{"n":"CANARY"}`, "n"},
		{"a string for logprobs", `{"logprobs":"CANARY"}`, "logprobs"},
		{"a string for top_logprobs", `{"top_logprobs":"CANARY"}`, "top_logprobs"},
		{"a number among the modalities", `{"modalities":["text",5]}`, "modalities[1]"},
		{"a string for functions", `{"functions":"CANARY"}`, "functions"},
		{"a string for the metadata", `{"metadata":"CANARY"}`, "metadata"},
		{"an object for the cache key", `{"prompt_cache_key":{"CANARY":1}}`, "prompt_cache_key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := decodeFailure(t, test.body)
			if e.Code != openai.CodeInvalidType || e.Param != test.param {
				t.Errorf("code %q, param %q; want %q, %q", e.Code, e.Param, openai.CodeInvalidType, test.param)
			}
		})
	}
}

// What is read by a method of its own names its field as well.
func TestDecodeNamesTheFieldOfEveryForm(t *testing.T) {
	chat := func(body []byte) error { _, err := translate.DecodeChat(body); return err }
	text := func(body []byte) error { _, err := translate.DecodeText(body); return err }
	embedding := func(body []byte) error { _, err := translate.DecodeEmbedding(body); return err }
	native := func(body []byte) error { _, err := translate.DecodeNative(body); return err }
	for _, test := range []struct {
		name   string
		decode func([]byte) error
		body   string
		param  string
	}{
		{"a number for the input", embedding, `{"input":5}`, "input"},
		{"an object for the input", embedding, `{"input":{"CANARY":1}}`, "input"},
		{"a number among the input's texts", embedding, `{"input":["a",7]}`, "input"},
		{"an object among the input's texts", embedding, `{"input":[{"CANARY":1}]}`, "input"},
		{"true for the prompt", text, `{"prompt":true}`, "prompt"},
		{"a list among the prompts", text, `{"prompt":["a",["CANARY"]]}`, "prompt"},
		{"no duration for keep_alive", chat, `{"keep_alive":"CANARY"}`, "keep_alive"},
		{"a list for keep_alive", embedding, `{"keep_alive":["CANARY"]}`, "keep_alive"},
		{"a number for Ollama's own prompt", native, `{"prompt":1}`, "prompt"},
		{"a text for Ollama's own options", native, `{"options":"CANARY"}`, "options"},
		{"a text for one of them", native, `{"options":{"seed":"CANARY"}}`, "options.seed"},
		{"a list for a body of Ollama's own", native, `["CANARY"]`, ""},
		{"null for a body of Ollama's own", native, `null`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := openaiError(t, test.decode([]byte(test.body)))
			if e.Code != openai.CodeInvalidType || e.Param != test.param {
				t.Errorf("code %q, param %q; want %q, %q", e.Code, e.Param, openai.CodeInvalidType, test.param)
			}
		})
	}
}

func TestDecodeChatRefusesWhatIsNotOneJSONValue(t *testing.T) {
	for _, test := range []struct{ name, body string }{
		{"no body", ""},
		{"white space only", " \r\n\t"},
		{"plain text", "CANARY"},
		{"a form", "model=CANARY&stream=true"},
		{"an object cut short", `{"model":"CANARY`},
		{"an array cut short within a message", `{"messages":[{"content":[{"text":"CANARY"}`},
		{"text after the object", `{"model":"m"} CANARY`},
		{"a second object", `{"model":"m"}{"model":"CANARY"}`},
		{"a second object on its own line", "{\"model\":\"m\"}\n{\"model\":\"CANARY\"}"},
		{"a bracket too many", `{"model":"m"}}`},
		{"a trailing comma", `{"model":"CANARY",}`},
		{"single quotes", `{'model':'CANARY'}`},
		{"a comment", `{"model":"m"/*CANARY*/}`},
		{"NaN for a number", `{"temperature":NaN}`},
		{"a name twice", `{"model":"m","model":"CANARY"}`},
		{"a name twice, once in escapes", `{"model":"m","\u006dodel":"CANARY"}`},
		{"a name twice within a message", `{"messages":[{"role":"user","role":"CANARY"}]}`},
		{"a name twice within a schema", `{"tools":[{"function":{"parameters":{"CANARY":1,"CANARY":2}}}]}`},
		{"a name twice within the metadata", `{"metadata":{"CANARY":1,"CANARY":2}}`},
		{"a name twice within Ollama's options", `{"options":{"CANARY":1,"CANARY":2}}`},
		{"a name twice within an unknown field", `{"x":{"CANARY":1,"CANARY":2}}`},
		{"a raw line break within a string", "{\"model\":\"CANARY\n\"}"},
		{"invalid UTF-8 in a value", "{\"model\":\"CANARY\xff\"}"},
		{"invalid UTF-8 in a name", "{\"CANARY\xff\":1}"},
		{"invalid UTF-8 within a message", "{\"messages\":[{\"content\":\"CANARY\xc3\"}]}"},
		{"half of a surrogate pair", `{"model":"CANARY\ud800"}`},
		{"UTF-16", "\xff\xfe{\x00}\x00"},
		{"nesting without end within a field", `{"tool_choice":` + strings.Repeat("[", 100_000)},
		{"nesting without end within an unknown field", `{"x":` + strings.Repeat(`{"CANARY":`, 100_000)},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := decodeFailure(t, test.body)
			if e.Code != openai.CodeInvalidJSON || e.Param != "" {
				t.Errorf("code %q, param %q; want %q and none", e.Code, e.Param, openai.CodeInvalidJSON)
			}
		})
	}
}

// decodeFailure decodes a body that is wrong and checks what holds for every
// error: its type, that it says something, and that it repeats nothing.
func decodeFailure(t *testing.T, body string) *openai.Error {
	t.Helper()
	req, err := translate.DecodeChat([]byte(body))
	if err == nil {
		t.Fatalf("accepted as %+v", req)
	}
	e := openaiError(t, err)
	if e.Type != openai.TypeInvalidRequest {
		t.Errorf("type %q, want %q", e.Type, openai.TypeInvalidRequest)
	}
	return e
}

// openaiError is err as the client will see it.
func openaiError(t *testing.T, err error) *openai.Error {
	t.Helper()
	e, ok := errors.AsType[*openai.Error](err)
	if !ok {
		t.Fatalf("%T (%v), want *openai.Error", err, err)
	}
	if e.Message == "" {
		t.Error("the error has no message")
	}
	if text := string(e.JSON()) + err.Error(); strings.Contains(text, canary) {
		t.Errorf("the error repeats the client's input: %s", text)
	}
	// SDKs show people the message, and openai for JavaScript nothing else
	if e.Param != "" && !strings.HasPrefix(e.Message, e.Param+": ") {
		t.Errorf("the message %q does not name %s", e.Message, e.Param)
	}
	if e.Param != "" && !ownName.MatchString(e.Param) {
		t.Errorf("the field's name %q is none of ours", e.Param)
	}
	return e
}

// ownName is a field as we name it: in small letters, where the tests' wrong input has
// capitals.
var ownName = regexp.MustCompile(`^[a-z_]+(\[[0-9]+\]|\.[a-z_]+)*$`)

// What a client's user reads of a mistake is the message alone, and the text of an error,
// which is for the log, says no more.
func TestTheMessageAloneTellsTheMistake(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"no messages", `{}`, "messages: missing"},
		{"a field out of range", asking(`"temperature":3`), "temperature: must lie between 0 and 2"},
		{"a field that is not supported", asking(`"logit_bias":{"1":1}`), "logit_bias: not supported by this server"},
		{"a field of a wrong type", asking(`"temperature":"CANARY"`), "temperature: wrong type"},
		{"a field within", talk(`{"role":"user"},{"role":"CANARY"}`), "messages[1].role: must be system, developer, user, assistant or tool"},
		{"an option of Ollama's own", asking(`"options":{"top_k":"CANARY"}`), "options.top_k: wrong type"},
		{"a list for the body", `[]`, "the request body must be a JSON object"},
		{"a text for the body", ` "CANARY"`, "the request body must be a JSON object"},
		{"null for the body", " null\n", "the request body must be a JSON object"},
		{"no JSON", `CANARY`, "the request body is not valid JSON"},
		{"no body", ``, "the request has no body"},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := translate.DecodeChat([]byte(test.body))
			if err == nil {
				_, err = translate.DraftChat(req)
			}
			e := openaiError(t, err)
			if e.Message != test.want || err.Error() != test.want {
				t.Errorf("the message is %q and the text %q, want %q", e.Message, err, test.want)
			}
		})
	}
}

func TestDecodeChatTakesNullForLeftOut(t *testing.T) {
	silent := native(t, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, translate.Settings{})
	for _, field := range []string{
		"stream", "stream_options", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed",
		"max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "response_format", "reasoning_effort",
		"n", "logit_bias", "logprobs", "top_logprobs", "modalities", "audio", "functions", "metadata",
		"prompt_cache_key", "a_field_nobody_knows",
	} {
		t.Run(field, func(t *testing.T) {
			got := native(t, `{"model":"m","messages":[{"role":"user","content":"hi"}],"`+field+`":null}`, translate.Settings{})
			if got != silent {
				t.Errorf("got  %s\nwant %s", got, silent)
			}
		})
	}
}

func TestDecodeChatTakesNullForLeftOutWithinMessages(t *testing.T) {
	for _, test := range []struct{ name, with, without string }{
		{"all fields of an answer",
			`{"role":"assistant","content":null,"tool_calls":null,"tool_call_id":null,"name":null,"reasoning":null,"reasoning_content":null}`,
			`{"role":"assistant"}`},
		{"all fields of a text part",
			`{"role":"user","content":[{"type":"text","text":null,"refusal":null,"image_url":null}]}`,
			`{"role":"user","content":[{"type":"text"}]}`},
		{"all fields of a tool call",
			`{"role":"assistant","tool_calls":[{"id":null,"type":null,"function":{"name":"f","arguments":null}}]}`,
			`{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			with := native(t, `{"model":"m","messages":[`+test.with+`]}`, translate.Settings{})
			without := native(t, `{"model":"m","messages":[`+test.without+`]}`, translate.Settings{})
			if with != without {
				t.Errorf("with nulls %s\nwithout    %s", with, without)
			}
		})
	}
}

func TestDecodeChatIgnoresUnknownFields(t *testing.T) {
	plain := native(t, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, translate.Settings{})
	got := native(t, `{"store":true,"user":"u","service_tier":"auto","parallel_tool_calls":false,"verbosity":"low",
		"Model":"another case is another name","x":[{"y":[1,2,{}]}],
		"model":"m","messages":[{"role":"user","content":"hi","x":{"y":1}}]}`, translate.Settings{})
	if got != plain {
		t.Errorf("got  %s\nwant %s", got, plain)
	}
}
