package translate_test

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// The tests of these peer files go, row by row, through what Ollama's own /v1 makes
// of a field (openai/openai.go), and say what is made of it here.

// peerRequest is one case: what Ollama gets, or else the field that is refused.
type peerRequest struct {
	row, name, body string
	want            string // the JSON for Ollama, all of it
	param, code     string
}

// said is what Ollama gets of these messages, in its own form.
func said(messages string) string {
	return `{"model":"m","messages":[` + messages + `],"stream":true}`
}

// plus is what Ollama gets of asking, with these members besides.
func plus(members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true` + members + `}`
}

// runPeerRequests runs cases of which the model can think, so that no wish for
// reasoning is dropped for that.
func runPeerRequests(t *testing.T, cases []peerRequest) {
	t.Helper()
	settings := translate.Settings{Thinks: true, ThinksKnown: true}
	for _, test := range cases {
		t.Run(test.row+": "+test.name, func(t *testing.T) {
			if test.code == "" {
				if got := native(t, test.body, settings); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
				return
			}
			_, err := translate.DecodeChat([]byte(test.body))
			if err == nil {
				err = refusal(t, test.body)
			}
			wantRefusal(t, err, test.param, test.code)
		})
	}
}

// wantRefusal checks what the client is told of a request that is not taken.
func wantRefusal(t *testing.T, err error, param, code string) {
	t.Helper()
	if e := openaiError(t, err); e.Param != param || e.Code != code || e.Type != openai.TypeInvalidRequest {
		t.Errorf("param %q, code %q, type %q; want %q, %q", e.Param, e.Code, e.Type, param, code)
	}
}

func TestPeerMessages(t *testing.T) {
	part := func(part string) string { return talk(`{"role":"user","content":[` + part + `]}`) }
	image := func(url string) string { return part(`{"type":"image_url","image_url":{"url":"` + url + `"}}`) }
	picture := said(`{"role":"user","content":"","images":["AAAA"]}`)
	call := func(arguments string) string {
		return talk(`{"role":"assistant","content":null,"tool_calls":[{"index":7,"id":"c","type":"function","function":{"name":"f","arguments":` + arguments + `}}]}`)
	}
	called := func(arguments string) string {
		return `{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"index":0,"name":"f","arguments":` + arguments + `}}]}`
	}
	const arguments = "messages[0].tool_calls[0].function.arguments"
	invalid, missing, wrong := openai.CodeInvalidValue, openai.CodeMissing, openai.CodeInvalidType
	runPeerRequests(t, []peerRequest{
		{"model", "a name goes on as it was written", `{"model":"Jo/Name:7B-Q4","messages":[{"role":"user","content":"hi"}]}`,
			`{"model":"Jo/Name:7B-Q4","messages":[{"role":"user","content":"hi"}],"stream":true}`, "", ""},
		{"messages=[]", "an empty conversation is refused, because Ollama would only load the model", talk(``), "", "messages", missing},
		{"messages=[]", "so is none at all", `{"model":"m"}`, "", "messages", missing},
		{"messages=[]", "so is null", `{"model":"m","messages":null}`, "", "messages", missing},

		{"content string", "text goes on as it is", talk(`{"role":"user","content":" a\n\"b\" "}`), said(`{"role":"user","content":" a\n\"b\" "}`), "", ""},
		{"content parts", "the parts of a message stay one message, where Ollama makes one of each",
			part(`{"type":"text","text":"a"},{"type":"image_url","image_url":"data:image/png;base64,AAAA"},{"type":"text","text":"b"}`),
			said(`{"role":"user","content":"a\nb","images":["AAAA"]}`), "", ""},
		{"content parts", "sound lies among the images, in its order, because Ollama looks for it there",
			part(`{"type":"image_url","image_url":"data:image/png;base64,AAAA"},{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}`),
			said(`{"role":"user","content":"","images":["AAAA","UklGRg=="]}`), "", ""},
		{"content parts", "a message of no parts is an empty message, where Ollama drops it", talk(`{"role":"user","content":[]}`),
			said(`{"role":"user","content":""}`), "", ""},
		{"content null", "null is an empty text", talk(`{"role":"assistant","content":null}`), said(`{"role":"assistant","content":""}`), "", ""},
		{"content null", "null beside a tool call is one too", call(`"{}"`), said(called(`{}`)), "", ""},
		{"other part types", "a refusal is text that the model has said", talk(`{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}`),
			said(`{"role":"assistant","content":"no"}`), "", ""},
		{"other part types", "a file is refused by its place", part(`{"type":"text","text":"a"},{"type":"file","file":{"file_id":"CANARY"}}`), "", "messages[0].content[1].type", invalid},
		{"other part types", "so is a film", part(`{"type":"video_url","video_url":{"url":"CANARY"}}`), "", "messages[0].content[0].type", invalid},

		{"image_url", "an image loses the head of its URL, which Ollama takes for bad base64", image("data:image/png;base64,AAAA"), picture, "", ""},
		{"image_url", "jpeg", image("data:image/jpeg;base64,AAAA"), picture, "", ""},
		{"image_url", "jpg", image("data:image/jpg;base64,AAAA"), picture, "", ""},
		{"image_url", "webp", image("data:image/webp;base64,AAAA"), picture, "", ""},
		{"image_url", "gif, which Ollama's own /v1 refuses", image("data:image/gif;base64,AAAA"), picture, "", ""},
		{"image_url", "a bare string is a URL", part(`{"type":"image_url","image_url":"data:image/png;base64,AAAA"}`), picture, "", ""},
		{"image_url", "Ollama knows no detail", part(`{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}`), picture, "", ""},
		{"image_url", "an image elsewhere is refused, because nothing is fetched", image("https://CANARY.example/x.png"), "", "messages", invalid},
		{"image_url", "a drawing that may hold scripts is refused", image("data:image/svg+xml;base64,AAAA"), "", "messages", invalid},
		{"image_url", "an image that does not say of what kind it is, is refused", image("data:;base64,AAAA"), "", "messages", invalid},
		{"image_url", "what is no base64 is refused here, before Ollama does", image("data:image/png;base64,CANARY!"), "", "messages", invalid},

		{"role", "developer is system, because Ollama's templates drop what they do not know", talk(`{"role":"developer","content":"s"}`), said(`{"role":"system","content":"s"}`), "", ""},
		{"role", "function is tool, as which it went out", talk(`{"role":"function","name":"f","content":"r"}`), said(`{"role":"tool","content":"r","tool_name":"f"}`), "", ""},
		{"role", "a role that OpenAI does not have is refused", talk(`{"role":"CANARY","content":"x"}`), "", "messages[0].role", invalid},
		{"reasoning", "what the model thought goes back to it", talk(`{"role":"assistant","content":"a","reasoning":"r"}`), said(`{"role":"assistant","content":"a","thinking":"r"}`), "", ""},
		{"reasoning", "beside null for content too", talk(`{"role":"assistant","content":null,"reasoning":"r"}`), said(`{"role":"assistant","content":"","thinking":"r"}`), "", ""},
		{"reasoning", "beside parts too, where Ollama loses it", talk(`{"role":"assistant","content":[{"type":"text","text":"a"}],"reasoning":"r"}`),
			said(`{"role":"assistant","content":"a","thinking":"r"}`), "", ""},
		{"reasoning", "under its other name too, which Ollama does not read", talk(`{"role":"assistant","content":"a","reasoning_content":"r"}`),
			said(`{"role":"assistant","content":"a","thinking":"r"}`), "", ""},
		{"reasoning", "only a model thinks", talk(`{"role":"user","content":"u","reasoning":"r"}`), said(`{"role":"user","content":"u"}`), "", ""},

		{"tool_calls[]", "arguments become an object, and calls are numbered anew", call(`"{\"b\":1,\"a\":2}"`), said(called(`{"b":1,"a":2}`)), "", ""},
		{"tool_calls[]", "no arguments are an empty object, where Ollama answers 400", call(`""`), said(called(`{}`)), "", ""},
		{"tool_calls[]", "a list of arguments is refused", call(`"[\"CANARY\"]"`), "", arguments, invalid},
		{"tool_calls[]", "arguments that are no JSON are refused", call(`"CANARY"`), "", arguments, invalid},
		{"tool_calls[]", "arguments that are not within a string are refused", call(`{"CANARY":1}`), "", arguments, wrong},
		{"tool: tool_call_id, name", "a result keeps both", talk(`{"role":"tool","tool_call_id":"c","name":"f","content":"r"}`),
			said(`{"role":"tool","content":"r","tool_name":"f","tool_call_id":"c"}`), "", ""},
		{"tool: tool_call_id, name", "a result without a name has that of its call",
			strings.Replace(call(`"{}"`), `]}]}`, `]},{"role":"tool","tool_call_id":"c","content":"r"}]}`, 1),
			said(called(`{}`) + `,{"role":"tool","content":"r","tool_name":"f","tool_call_id":"c"}`), "", ""},
		{"tool: tool_call_id, name", "a result in parts keeps both too, where Ollama loses both",
			talk(`{"role":"tool","tool_call_id":"c","name":"f","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}`),
			said(`{"role":"tool","content":"1\n2","tool_name":"f","tool_call_id":"c"}`), "", ""},
	})
}

func TestPeerChatFields(t *testing.T) {
	const tool = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"const":1,"minimum":1}}}}}]`
	const toolOut = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"enum":[1],"description":"(minimum: 1)"}}}}}]`
	schema := func(format string) string {
		return asking(`"response_format":{"type":"json_schema","json_schema":{` + format + `}}`)
	}
	invalid, missing, wrong, unsupported := openai.CodeInvalidValue, openai.CodeMissing, openai.CodeInvalidType, openai.CodeUnsupported
	runPeerRequests(t, []peerRequest{
		{"stop", "one is a list of one, because Ollama takes lists only", asking(`"stop":"END"`), plus(`"options":{"stop":["END"]}`), "", ""},
		{"stop", "several keep their order", asking(`"stop":["b","a"]`), plus(`"options":{"stop":["b","a"]}`), "", ""},
		{"stop", "what is no text is refused by its place, where Ollama passes over it", asking(`"stop":["a",5]`), "", "stop[1]", wrong},
		{"stop", "nothing to stop at leaves the model file's own", asking(`"stop":[""]`), plus(``), "", ""},
		{"max_tokens", "it is Ollama's num_predict", asking(`"max_tokens":7`), plus(`"options":{"num_predict":7}`), "", ""},
		{"max_tokens", "so is its newer name, which Ollama passes over", asking(`"max_completion_tokens":8`), plus(`"options":{"num_predict":8}`), "", ""},
		{"max_tokens", "the newer name counts before the older", asking(`"max_tokens":7,"max_completion_tokens":8`), plus(`"options":{"num_predict":8}`), "", ""},
		{"max_tokens", "less than one is refused, where Ollama takes it for no limit", asking(`"max_tokens":-3`), "", "max_tokens", invalid},
		{"temperature, top_p", "a silent client leaves both to the model file, where Ollama sets both to 1", asking(``), plus(``), "", ""},
		{"temperature, top_p", "a client that speaks is heard", asking(`"temperature":0.5,"top_p":0.9`), plus(`"options":{"temperature":0.5,"top_p":0.9}`), "", ""},
		{"temperature, top_p", "more heat than OpenAI has is refused", asking(`"temperature":5`), "", "temperature", invalid},
		{"temperature, top_p", "a probability below zero is refused", asking(`"top_p":-1`), "", "top_p", invalid},
		{"seed, penalties", "all three go on", asking(`"seed":1,"frequency_penalty":0.5,"presence_penalty":-0.5`),
			plus(`"options":{"frequency_penalty":0.5,"presence_penalty":-0.5,"seed":1}`), "", ""},
		{"seed, penalties", "zero is said, not left out", asking(`"seed":0,"frequency_penalty":0,"presence_penalty":0`),
			plus(`"options":{"frequency_penalty":0,"presence_penalty":0,"seed":0}`), "", ""},

		{"response_format", "text is no format", asking(`"response_format":{"type":"text"}`), plus(``), "", ""},
		{"response_format", "an object of any kind is json", asking(`"response_format":{"type":"json_object"}`), plus(`"format":"json"`), "", ""},
		{"response_format", "a schema goes on whole, and what stands around it does not", schema(`"name":"n","description":"d","strict":true,"schema":{"z":{"const":1},"a":[]}`),
			plus(`"format":{"z":{"const":1},"a":[]}`), "", ""},
		{"response_format", "a schema that is missing is refused, where Ollama answers in any form", schema(`"name":"n"`), "", "response_format.json_schema.schema", missing},
		{"response_format", "another format is refused", asking(`"response_format":{"type":"CANARY"}`), "", "response_format.type", invalid},
		{"tools", "what Ollama drops of a schema is said in words that it keeps", asking(tool), plus(toolOut), "", ""},
		{"tools", "a tool of another kind is refused", asking(`"tools":[{"type":"custom","custom":{"name":"CANARY"}}]`), "", "tools[0].type", invalid},

		{"reasoning_effort", "none", asking(`"reasoning_effort":"none"`), plus(`"think":false`), "", ""},
		{"reasoning_effort", "minimal is Ollama's lowest", asking(`"reasoning_effort":"minimal"`), plus(`"think":"low"`), "", ""},
		{"reasoning_effort", "low", asking(`"reasoning_effort":"low"`), plus(`"think":"low"`), "", ""},
		{"reasoning_effort", "medium", asking(`"reasoning_effort":"medium"`), plus(`"think":"medium"`), "", ""},
		{"reasoning_effort", "high", asking(`"reasoning_effort":"high"`), plus(`"think":"high"`), "", ""},
		{"reasoning_effort", "xhigh is Ollama's highest", asking(`"reasoning_effort":"xhigh"`), plus(`"think":"max"`), "", ""},
		{"reasoning_effort", "so is ultra", asking(`"reasoning_effort":"ultra"`), plus(`"think":"max"`), "", ""},
		{"reasoning_effort", "max", asking(`"reasoning_effort":"max"`), plus(`"think":"max"`), "", ""},
		{"reasoning_effort", "an empty one is none given", asking(`"reasoning_effort":""`), plus(``), "", ""},
		{"reasoning_effort", "another is refused", asking(`"reasoning_effort":"CANARY"`), "", "reasoning_effort", invalid},
		{"reasoning.effort", "it counts before reasoning_effort", asking(`"reasoning":{"effort":"high"},"reasoning_effort":"low"`), plus(`"think":"high"`), "", ""},
		{"reasoning.effort", "an empty one leaves it to reasoning_effort", asking(`"reasoning":{"effort":""},"reasoning_effort":"low"`), plus(`"think":"low"`), "", ""},
		{"reasoning.effort", "another is refused by its own name", asking(`"reasoning":{"effort":"CANARY"}`), "", "reasoning.effort", invalid},
		{"logprobs, top_logprobs", "both go on", asking(`"logprobs":true,"top_logprobs":3`), plus(`"logprobs":true,"top_logprobs":3`), "", ""},
		{"logprobs, top_logprobs", "others than the chosen are refused without the chosen, as OpenAI does", asking(`"top_logprobs":3`), "", "top_logprobs", invalid},
		{"logprobs, top_logprobs", "more than Ollama has are refused", asking(`"logprobs":true,"top_logprobs":21`), "", "top_logprobs", invalid},
		{"stream", "no stream is said in so many words, because Ollama streams by itself", asking(``), plus(``), "", ""},
		{"stream", "a stream is a stream", asking(`"stream":true`), strings.Replace(plus(``), `"stream":true`, `"stream":true`, 1), "", ""},
		{"stream_options.include_usage", "Ollama always tells, so it is not asked", asking(`"stream_options":{"include_usage":true}`), plus(``), "", ""},
		{"_debug_render_only", "no client is shown a model's template", asking(`"_debug_render_only":true`), plus(``), "", ""},

		{"n", "each choice is asked for by itself", asking(`"n":2`), plus(``), "", ""},
		{"n", "more choices than one client should have are refused", asking(`"n":9`), "", "n", invalid},
		{"tool_choice", "none keeps the tools back", asking(tool + `,"tool_choice":"none"`), plus(``), "", ""},
		{"tool_choice", "auto is what Ollama does", asking(tool + `,"tool_choice":"auto"`), plus(toolOut), "", ""},
		{"tool_choice", "a tool that is not there is refused", asking(tool + `,"tool_choice":{"type":"function","function":{"name":"CANARY"}}`), "", "tool_choice", invalid},
		{"parallel_tool_calls", "it is a matter of the answer", asking(tool + `,"parallel_tool_calls":false`), plus(toolOut), "", ""},
		{"logit_bias", "it is refused, because Ollama cannot", asking(`"logit_bias":{"50256":-100}`), "", "logit_bias", unsupported},
		{"logit_bias", "a bias against nothing is none", asking(`"logit_bias":{}`), plus(``), "", ""},
		{"user, metadata, store, service_tier", "they are no business of a model's", asking(`"user":"u","metadata":{"k":"v"},"store":true,"service_tier":"flex"`), plus(``), "", ""},
		{"modalities", "text is what models write", asking(`"modalities":["text"]`), plus(``), "", ""},
		{"modalities", "speech is refused", asking(`"modalities":["text","audio"]`), "", "audio", unsupported},
		{"prediction, verbosity", "hints are passed over", asking(`"prediction":{"type":"content","content":"p"},"verbosity":"low"`), plus(``), "", ""},
		{"functions, function_call", "tools before there were tools are refused", asking(`"functions":[{"name":"CANARY"}],"function_call":"auto"`), "", "functions", unsupported},
		{"functions, function_call", "a choice among none says nothing", asking(`"function_call":"none"`), plus(``), "", ""},
		{"min_p, top_k, num_ctx", "Ollama's own options can be asked for", asking(`"min_p":0.1,"top_k":5,"num_ctx":8192`), plus(`"options":{"min_p":0.1,"num_ctx":8192,"top_k":5}`), "", ""},
		{"keep_alive", "so can the time that a model stays", asking(`"keep_alive":"5m"`), plus(`"keep_alive":300`), "", ""},
		{"options", "so can all options together", asking(`"options":{"typical_p":0.5,"num_gpu":1}`), plus(`"options":{"num_gpu":1,"typical_p":0.5}`), "", ""},
		{"options", "an option of a wrong type is refused, where Ollama answers 500", asking(`"options":{"seed":"CANARY"}`), "", "options.seed", wrong},
		{"think", "so can thinking, and it counts before any effort", asking(`"think":true,"reasoning_effort":"none"`), plus(`"think":true`), "", ""},
	})
}

func TestPeerTextRequest(t *testing.T) {
	asked := func(prompt string) string { return `{"model":"m","prompt":"` + prompt + `","stream":true` }
	for _, test := range []struct {
		row, name, body string
		want            []string // the JSON for Ollama, choice by choice
		param, code     string
	}{
		{"prompt", "the model's template stays around it, as in Ollama", `{"prompt":"a"}`, []string{asked("a") + `}`}, "", ""},
		{"prompt", "raw takes the template away, which no client of Ollama's /v1 can", `{"prompt":"a","raw":true}`, []string{asked("a") + `,"raw":true}`}, "", ""},
		{"prompt", "each of several is asked by itself, where Ollama answers 400", `{"prompt":["a","b"]}`, []string{asked("a") + `}`, asked("b") + `}`}, "", ""},
		{"prompt", "token numbers are refused, because Ollama takes none", `{"prompt":[1,2]}`, nil, "prompt", openai.CodeUnsupported},
		{"prompt", "a missing one is refused, because Ollama would only load the model", `{}`, nil, "prompt", openai.CodeMissing},
		{"prompt", "so is an empty one", `{"prompt":""}`, nil, "prompt", openai.CodeMissing},
		{"suffix", "it goes on", `{"prompt":"a","suffix":"z"}`, []string{`{"model":"m","prompt":"a","suffix":"z","stream":true}`}, "", ""},
		{"logprobs", "a number asks for that many besides the chosen one", `{"prompt":"a","logprobs":2}`, []string{asked("a") + `,"logprobs":true,"top_logprobs":2}`}, "", ""},
		{"logprobs", "zero asks for the chosen one, where Ollama gives none", `{"prompt":"a","logprobs":0}`, []string{asked("a") + `,"logprobs":true}`}, "", ""},
		{"logprobs", "more than OpenAI has are refused", `{"prompt":"a","logprobs":6}`, nil, "logprobs", openai.CodeInvalidValue},
		{"echo", "Ollama does not echo, so it is not asked", `{"prompt":"a","echo":true}`, []string{asked("a") + `}`}, "", ""},
		{"best_of", "the best of as many as are asked for is all of them", `{"prompt":"a","best_of":2,"n":2}`, []string{asked("a") + `}`, asked("a") + `}`}, "", ""},
		{"best_of", "the best of more is refused", `{"prompt":"a","best_of":3}`, nil, "best_of", openai.CodeUnsupported},
		{"n", "each choice is asked for by itself, with a seed of its own", `{"prompt":"a","n":2,"seed":7}`,
			[]string{asked("a") + `,"options":{"seed":7}}`, asked("a") + `,"options":{"seed":8}}`}, "", ""},
		{"penalties", "what is left open stays open, where Ollama sends zeros", `{"prompt":"a","temperature":0.5}`, []string{asked("a") + `,"options":{"temperature":0.5}}`}, "", ""},
		{"stop", "what is no text is refused, as by Ollama", `{"prompt":"a","stop":["b",5]}`, nil, "stop[1]", openai.CodeInvalidType},
		{"stream", "a stream is a stream", `{"prompt":"a","stream":true}`, []string{`{"model":"m","prompt":"a","stream":true}`}, "", ""},
		{"user", "it is no business of a model's", `{"prompt":"a","user":"u"}`, []string{asked("a") + `}`}, "", ""},
	} {
		t.Run(test.row+": "+test.name, func(t *testing.T) {
			if _, err := translate.DecodeText([]byte(test.body)); err != nil {
				wantRefusal(t, err, test.param, test.code)
				return
			}
			got, err := texts(t, test.body, translate.Settings{})
			if test.code != "" {
				wantRefusal(t, err, test.param, test.code)
				return
			}
			if err != nil || strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("%v\ngot  %s\nwant %s", err, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
	t.Run("thinking: a model that thinks is told not to, because a text has no place for it", func(t *testing.T) {
		got, err := texts(t, `{"prompt":"a"}`, translate.Settings{Thinks: true, ThinksKnown: true})
		if want := asked("a") + `,"think":false}`; err != nil || got[0] != want {
			t.Errorf("%v: got %s, want %s", err, got, want)
		}
	})
}

func TestPeerEmbedRequest(t *testing.T) {
	for _, test := range []struct{ row, name, body, want, param, code string }{
		{"input", "one text is a list of one, and is not cut where it is too long", `{"input":"a"}`, `{"model":"","input":["a"],"truncate":false}`, "", ""},
		{"input", "several go in one request", `{"input":["a","b"]}`, `{"model":"","input":["a","b"],"truncate":false}`, "", ""},
		{"input", "an empty text is refused, where Ollama answers with no vector", `{"input":""}`, "", "input", openai.CodeInvalidValue},
		{"input", "null is refused", `{"input":null}`, "", "input", openai.CodeMissing},
		{"input", "an empty list is refused", `{"input":[]}`, "", "input", openai.CodeMissing},
		{"input", "token numbers are refused by a word that says so", `{"input":[1,2]}`, "", "input", openai.CodeUnsupported},
		{"input", "lists of token numbers too", `{"input":[[1],[2,3]]}`, "", "input", openai.CodeUnsupported},
		{"dimensions", "they go on", `{"input":"a","dimensions":8}`, `{"model":"","input":["a"],"truncate":false,"dimensions":8}`, "", ""},
		{"dimensions", "none are refused", `{"input":"a","dimensions":0}`, "", "dimensions", openai.CodeInvalidValue},
		{"encoding_format", "float is a matter of the answer", `{"input":"a","encoding_format":"float"}`, `{"model":"","input":["a"],"truncate":false}`, "", ""},
		{"encoding_format", "so is base64", `{"input":"a","encoding_format":"base64"}`, `{"model":"","input":["a"],"truncate":false}`, "", ""},
		{"encoding_format", "another is refused", `{"input":"a","encoding_format":"CANARY"}`, "", "encoding_format", openai.CodeInvalidValue},
		{"user", "it is no business of a model's", `{"input":"a","user":"u"}`, `{"model":"","input":["a"],"truncate":false}`, "", ""},
	} {
		t.Run(test.row+": "+test.name, func(t *testing.T) {
			req := embedding(t, test.body)
			err := translate.CheckEmbedding(req)
			if test.code != "" {
				wantRefusal(t, err, test.param, test.code)
				return
			}
			if data, errJSON := translate.Encoded(translate.EmbedRequest(req, translate.Settings{}).Requests[0]); err != nil || errJSON != nil || string(data) != test.want {
				t.Errorf("%v, %v: got %s, want %s", err, errJSON, data, test.want)
			}
		})
	}
}
