package ollamaadapter_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// gap is what Ollama's own /v1 leaves open or does wrong, and what becomes of it
// here. A number has several cases where there is more than one thing to it.
type gap struct {
	number  int
	name    string
	options string             // of the handler, as in a Caddyfile
	models  []ollamatest.Model // nil: one that says hi to everything
	path    string             // "": /v1/chat/completions
	body    string             // "": the request is a GET

	sees   []string // what each request to Ollama holds, in their order; nil: any
	unseen []string // what none of them holds

	status      int // 0: 200
	param, code string
	gets, ungot []string // what the answer holds, and what not
}

const (
	calledTools = `{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":""}}]}`
	toolF       = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]`
	hiToM       = `"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true`
)

var gaps = []gap{
	{number: 1, name: "an error within a stream is told, and no [DONE] follows", body: saying(`"stream":true`),
		models: lines(firstLine, `{"error":"CANARY"}`),
		gets:   []string{`"content":"hello"`, `data: {"error":{`, `"code":"upstream_error"`}, ungot: []string{"[DONE]", `"finish_reason":"`, canary}},
	{number: 2, name: "a stream without an end ends in an error", body: saying(`"stream":true`),
		models: lines(firstLine), gets: []string{`"content":"hello"`, `data: {"error":{`}, ungot: []string{"[DONE]"}},
	{number: 2, name: "an answer that Ollama itself calls incomplete is none", body: saying(``),
		models: lines(firstLine), status: 502, code: "upstream_error", ungot: []string{"hello"}},
	{number: 3, name: "a silent client leaves temperature and top_p to the model file", body: saying(``),
		sees: []string{`{` + hiToM + `,"truncate":false}`}},
	{number: 4, name: "max_completion_tokens bounds an answer, before max_tokens", body: saying(`"max_tokens":7,"max_completion_tokens":8`),
		sees: []string{`"options":{"num_predict":8}`}},
	{number: 5, name: "Ollama's own options can be asked for", body: saying(`"options":{"typical_p":0.5},"num_ctx":8192,"top_k":5,"min_p":0.1,"repeat_penalty":1.1,"keep_alive":"1m"`),
		sees: []string{`"options":{"min_p":0.1,"num_ctx":8192,"repeat_penalty":1.1,"top_k":5,"typical_p":0.5},"truncate":false,"keep_alive":60`}},
	{number: 5, name: "what a model is loaded with is the server's, so that no client has it loaded anew", options: "defaults {\nnum_ctx 32768\n}\nmodel m {\nkeep_alive 30m\n}",
		body: saying(`"num_ctx":512,"options":{"num_ctx":1024}`), sees: []string{`"options":{"num_ctx":32768},"truncate":false,"keep_alive":1800`}},
	{number: 5, name: "the same for embeddings", options: "defaults {\nnum_ctx 32768\n}", path: "/v1/embeddings", body: `{"model":"m","input":"a"}`,
		sees: []string{`"options":{"num_ctx":32768}`}},
	{number: 6, name: "Ollama is told not to cut a conversation, and not how to shift its context, which would load the model anew", body: saying(``),
		sees: []string{`"truncate":false`}, unseen: []string{`"shift"`}},
	{number: 6, name: "one that is too long is refused with both lengths",
		body: saying(``), models: failing(400, `{"error":{"code":400,"message":"request (351 tokens) exceeds the available context size (256 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":351,"n_ctx":256}}`),
		status: 400, param: "messages", code: "context_length_exceeded", gets: []string{"351", "256"}},
	{number: 6, name: "a server may let it be cut", options: "context_overflow truncate", body: saying(``), sees: []string{hiToM}, unseen: []string{"truncate"}},
	{number: 6, name: "so is a prompt, by its own name", path: "/v1/completions", body: `{"model":"m","prompt":"a"}`, models: failing(400, "the input length exceeds the context length"),
		status: 400, param: "prompt", code: "context_length_exceeded"},
	{number: 7, name: "tool_choice none keeps the tools back", body: saying(toolF + `,"tool_choice":"none"`), sees: []string{hiToM}, unseen: []string{"tools"}},
	{number: 7, name: "a tool that is required is called, because nothing else can be said", body: saying(toolF + `,"tool_choice":"required"`),
		models: lines(`{"message":{"content":"{\"name\":\"f\",\"arguments\":{\"a\":1}}"},"done":true}`),
		sees:   []string{`"format":{"type":"object","properties":{"name":{"type":"string","enum":["f"]}`}, unseen: []string{`"tools"`},
		gets: []string{`"content":null`, `"function":{"name":"f","arguments":"{\"a\":1}"}`, `"finish_reason":"tool_calls"`}},
	{number: 7, name: "so is one that is named", body: saying(toolF + `,"tool_choice":{"type":"function","function":{"name":"f"}}`),
		models: lines(`{"message":{"content":"{\"name\":\"f\",\"arguments\":{}}"},"done":true}`), gets: []string{`"function":{"name":"f","arguments":"{}"}`}},
	{number: 7, name: "a name that no tool has is refused", body: saying(toolF + `,"tool_choice":{"type":"function","function":{"name":"CANARY"}}`),
		status: 400, param: "tool_choice", code: "invalid_value"},
	{number: 8, name: "parallel_tool_calls false leaves the first call", body: saying(toolF + `,"parallel_tool_calls":false`),
		models: lines(`{"message":{"tool_calls":[{"function":{"name":"f","arguments":{}}},{"function":{"name":"g","arguments":{}}}]},"done":true}`),
		gets:   []string{`"name":"f"`, `"finish_reason":"tool_calls"`}, ungot: []string{`"name":"g"`}},
	{number: 9, name: "n choices are n requests, by seeds of their own, and one usage", body: saying(`"n":2,"seed":7`),
		models: lines(`{"message":{"content":"hi"},"done":true,"prompt_eval_count":3,"eval_count":2}`),
		sees:   []string{`"seed":7`, `"seed":8`}, gets: []string{`"index":1,"message":`, `"usage":{"prompt_tokens":6,"completion_tokens":4,"total_tokens":10}`}},
	{number: 9, name: "nor are they one choice n times where the seed is the server's", options: "defaults {\nseed 7\n}", body: saying(`"n":2`),
		sees: []string{`"seed":7`, `"seed":8`}},
	{number: 10, name: "logit_bias is refused, because Ollama cannot", body: saying(`"logit_bias":{"50256":-100}`), status: 400, param: "logit_bias", code: "unsupported_parameter"},
	{number: 11, name: "developer is system to Ollama, whose templates drop what they do not know", body: `{"model":"m","messages":[{"role":"developer","content":"s"},{"role":"user","content":"hi"}]}`,
		sees: []string{`[{"role":"system","content":"s"},{"role":"user","content":"hi"}]`}},
	{number: 11, name: "all system text can be merged for templates that want it in front", options: "system_role merge",
		body: `{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"},{"role":"developer","content":"d"}]}`,
		sees: []string{`[{"role":"user","content":"s\n\nd\n\nhi"}]`}},
	{number: 12, name: "the parts of a message stay one message", models: able("m", "vision"),
		body: `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"b"}]}]}`,
		sees: []string{`[{"role":"user","content":"a\nb","images":["AAAA"]}]`}},
	{number: 13, name: "a tool's result in parts keeps its name and id", body: `{"model":"m","messages":[{"role":"tool","tool_call_id":"c","name":"f","content":[{"type":"text","text":"r"}]}]}`,
		sees: []string{`{"role":"tool","content":"r","tool_name":"f","tool_call_id":"c"}`}},
	{number: 14, name: "null content, empty arguments and a refusal are taken",
		body: `{"model":"m","messages":[{"role":"assistant","content":null},` + calledTools + `,{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]}`,
		sees: []string{`[{"role":"assistant","content":""},{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"index":0,"name":"f","arguments":{}}}]},{"role":"assistant","content":"no"}]`}},
	{number: 15, name: "an image elsewhere is refused by design, and nothing is fetched",
		body:   `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://CANARY.example/x.png"}}]}]}`,
		status: 400, param: "messages", code: "invalid_value"},
	{number: 15, name: "a gif goes on like any other image", models: able("m", "vision"), body: `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/gif;base64,AAAA"}}]}]}`,
		sees: []string{`"images":["AAAA"]`}},
	{number: 17, name: "what Ollama drops of a tool's schema is put so that it does not",
		body: saying(`"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{"$ref":"#/$defs/A"},"b":{"oneOf":[{"type":"string"}]},"c":{"const":1},"d":true},"$defs":{"A":{"type":"integer","minimum":1}}}}},{"type":"function","function":{"name":"g"}}]`),
		sees: []string{`"parameters":{"type":"object","properties":{"a":{"type":"integer","description":"(minimum: 1)"},"b":{"anyOf":[{"type":"string"}]},"c":{"enum":[1]},"d":{}}}}},` +
			`{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}`}},
	{number: 17, name: "a parameter that is called definitions is one",
		body: saying(`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"definitions":{"type":"string"}},"required":["definitions"]}}}]`),
		sees: []string{`"properties":{"definitions":{"type":"string"}},"required":["definitions"]`}},
	{number: 18, name: "an empty conversation is refused, which would only load the model", body: `{"model":"m","messages":[]}`, status: 400, param: "messages", code: "missing_required_parameter"},
	{number: 18, name: "so is an empty prompt", path: "/v1/completions", body: `{"model":"m","prompt":""}`, status: 400, param: "prompt", code: "missing_required_parameter"},
	{number: 18, name: "load is a stop to SDKs", body: saying(``), models: lines(`{"message":{"content":"hi"},"done":true,"done_reason":"load"}`), gets: []string{`"finish_reason":"stop"`}},
	{number: 18, name: "so is no reason at all", body: saying(``), models: lines(`{"message":{"content":"hi"},"done":true}`), gets: []string{`"finish_reason":"stop"`}},
	{number: 19, name: "reasoning goes under both names", body: saying(``), models: lines(`{"message":{"content":"hi","thinking":"hm"},"done":true}`),
		gets: []string{`"reasoning":"hm","reasoning_content":"hm"`}},
	{number: 19, name: "or under one", options: "reasoning reasoning_content", body: saying(``), models: lines(`{"message":{"content":"hi","thinking":"hm"},"done":true}`),
		gets: []string{`"reasoning_content":"hm"`}, ungot: []string{`"reasoning":`}},
	{number: 19, name: "or under none", options: "reasoning hide", body: saying(``), models: lines(`{"message":{"content":"hi","thinking":"CANARY"},"done":true}`), ungot: []string{canary}},
	{number: 19, name: "and comes back under either", body: `{"model":"m","messages":[{"role":"assistant","content":"a","reasoning":"r"},{"role":"assistant","content":"b","reasoning_content":"s"}]}`,
		sees: []string{`"content":"a","thinking":"r"},{"role":"assistant","content":"b","thinking":"s"}`}},
	{number: 19, name: "what is hidden is hidden among the probabilities too", options: "reasoning hide", body: saying(`"logprobs":true`),
		models: lines(`{"message":{"content":"hi","thinking":"CANARY"},"logprobs":[{"token":"CANARY","logprob":-1},{"token":"hi","logprob":-1}],"done":true}`), ungot: []string{canary}},
	{number: 19, name: "and among those of a stream", options: "reasoning hide", body: saying(`"logprobs":true,"stream":true`),
		models: lines(`{"message":{"thinking":"CANARY"},"logprobs":[{"token":"CANARY","logprob":-1}]}`, `{"message":{"content":"hi"},"done":true}`), ungot: []string{canary}},
	{number: 20, name: "a model that cannot think is not asked to", models: able("m"), body: saying(`"reasoning_effort":"high"`), sees: []string{hiToM}, unseen: []string{"think"}},
	{number: 20, name: "one that can is, in the words of this Ollama", models: able("m", "thinking"), body: saying(`"reasoning_effort":"xhigh"`), sees: []string{`"think":true`}},
	{number: 20, name: "an effort that this model does not know is the next lower", models: able("gpt-oss:20b", "thinking"),
		body: strings.Replace(saying(`"reasoning_effort":"ultra"`), `"m"`, `"gpt-oss:20b"`, 1), sees: []string{`"think":"high"`}},
	{number: 20, name: "an effort nobody knows is refused", body: saying(`"reasoning_effort":"CANARY"`), status: 400, param: "reasoning_effort", code: "invalid_value"},
	{number: 21, name: "a client's stops are sent as they are, and the model file's not added", body: saying(`"stop":"END"`), sees: []string{`"options":{"stop":["END"]}`}},
	{number: 21, name: "none to stop at leaves the model file's", body: saying(`"stop":["",""]`), sees: []string{hiToM}, unseen: []string{"stop"}},
	{number: 21, name: "nor does an empty one among Ollama's own options end every answer", body: saying(`"options":{"stop":""}`), sees: []string{hiToM}, unseen: []string{"stop"}},
	{number: 22, name: "a prompt can go without a template", path: "/v1/completions", body: `{"model":"m","prompt":"a","raw":true}`, sees: []string{`"raw":true`}},
	{number: 22, name: "a model that thinks is told not to", path: "/v1/completions", models: able("m", "thinking"), body: `{"model":"m","prompt":"a"}`, sees: []string{`"think":false`}},
	{number: 22, name: "probabilities are returned in the lists of old", path: "/v1/completions", body: `{"model":"m","prompt":"a","logprobs":0}`,
		models: lines(`{"response":"hi","logprobs":[{"token":"hi","logprob":-0.5}],"done":true}`), gets: []string{`"logprobs":{"tokens":["hi"],"token_logprobs":[-0.5],"top_logprobs":[{}],"text_offset":[0]}`}},
	{number: 22, name: "each of several prompts is answered, and echoed if asked for", path: "/v1/completions", body: `{"model":"m","prompt":["a ","b "],"echo":true}`,
		sees: []string{`"prompt":"a "`, `"prompt":"b "`}, gets: []string{`{"index":0,"text":"a hi"`, `{"index":1,"text":"b hi"`}},
	{number: 23, name: "token numbers are refused in so many words", path: "/v1/embeddings", body: `{"model":"m","input":[1,2]}`, status: 400, param: "input", code: "unsupported_parameter",
		gets: []string{"token numbers are not supported"}},
	{number: 23, name: "several texts are one request, and none of them is cut", path: "/v1/embeddings", body: `{"model":"m","input":["a","b"]}`,
		sees: []string{`"input":["a","b"],"truncate":false`}, gets: []string{`"index":1,"embedding":[1,1]`}},
	{number: 24, name: "no models are an empty list", path: "/v1/models", models: []ollamatest.Model{}, gets: []string{`{"object":"list","data":[]}`}},
	{number: 24, name: "a model with a slash in its name is found", path: "/v1/models/jo/n:7b", models: library, gets: []string{`{"id":"jo/n:7b"`}},
	{number: 24, name: "context and abilities are told", path: "/v1/models/m", models: library, gets: []string{`"context_length":40960,"capabilities":["completion","tools"]`}},
	{number: 24, name: "models can be hidden, or go under another name", options: "models jo/*\nalias gpt-4o m", path: "/v1/models", models: library,
		gets: []string{`"id":"gpt-4o"`, `"id":"jo/n:7b"`}, ungot: []string{`"id":"m`}},
	{number: 26, name: "a model that is not there is model_not_found", body: saying(``), models: failing(404, "model 'CANARY' not found"), status: 404, param: "model", code: "model_not_found"},
	{number: 26, name: "a full queue is server_overloaded", body: saying(``), models: failing(503, "CANARY"), status: 503, code: "server_overloaded"},
	{number: 26, name: "a cloud that wants an account is our own set-up", body: saying(``), models: failing(401, "unauthorized"), status: 502, code: "upstream_error"},
	{number: 26, name: "a tool too many is named", body: saying(toolF), models: failing(400, "registry.ollama.ai/library/CANARY does not support tools"), status: 400, param: "tools", code: "unsupported_parameter"},
	{number: 26, name: "a path that is not there is JSON too", path: "/v1/nothing", status: 404, code: "not_found"},
	{number: 27, name: "cached tokens are told where Ollama does", body: saying(``), models: lines(`{"message":{"content":"hi"},"done":true,"prompt_eval_count":3,"prompt_eval_cached_count":2,"eval_count":1}`),
		gets: []string{`"prompt_tokens_details":{"cached_tokens":2}`}},
	{number: 27, name: "tokens of reasoning are not guessed at", body: saying(``), models: lines(`{"message":{"content":"hi","thinking":"hm"},"done":true,"prompt_eval_count":3,"eval_count":2}`),
		gets: []string{`"completion_tokens":2`}, ungot: []string{"_details", "reasoning_tokens"}},
	{number: 28, name: "too much heat is refused", body: saying(`"temperature":5`), status: 400, param: "temperature", code: "invalid_value"},
	{number: 28, name: "a negative probability is", body: saying(`"top_p":-1`), status: 400, param: "top_p", code: "invalid_value"},
	{number: 28, name: "a negative number of tokens is", body: saying(`"max_tokens":-3`), status: 400, param: "max_tokens", code: "invalid_value"},
	{number: 28, name: "a role nobody has is", body: `{"model":"m","messages":[{"role":"CANARY","content":"hi"}]}`, status: 400, param: "messages[0].role", code: "invalid_value"},
	{number: 28, name: "a stop that is no text is", body: saying(`"stop":["a",5]`), status: 400, param: "stop[1]", code: "invalid_type"},
	{number: 28, name: "a format of a schema without one is", body: saying(`"response_format":{"type":"json_schema","json_schema":{"name":"n"}}`), status: 400,
		param: "response_format.json_schema.schema", code: "missing_required_parameter"},
	{number: 31, name: "the Responses API is not served", path: "/v1/responses", body: `{"model":"m","input":"hi"}`, status: 404, code: "not_found"},
	{number: 31, name: "nor is Anthropic's", path: "/v1/messages", body: `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`, status: 404, code: "not_found"},
	{number: 31, name: "nor is transcription", path: "/v1/audio/transcriptions", body: `CANARY`, status: 404, code: "not_found"},
	{number: 32, name: "what is no business of a model's is passed over", body: saying(`"service_tier":"flex","store":true,"metadata":{"k":"CANARY"},"user":"CANARY"`),
		sees: []string{`{` + hiToM + `,"truncate":false}`}, gets: []string{`"content":"hi"`}},
	{number: 32, name: "refusal and logprobs are null, not missing", body: saying(``), gets: []string{`"refusal":null}`, `"logprobs":null`}},
	{number: 33, name: "lists of probabilities are never missing", body: saying(`"logprobs":true`), models: lines(`{"message":{"content":"hi"},"logprobs":[{"token":"hi","logprob":-0.5}],"done":true}`),
		sees: []string{`"logprobs":true`}, gets: []string{`{"token":"hi","logprob":-0.5,"bytes":null,"top_logprobs":[]}`}},
}

// apart are the gaps that have tests of their own, below. Of 26, an upstream that
// cannot be reached is in TestAnUpstreamThatCannotBeReached.
var apart = []int{16, 25, 29, 30}

func TestGaps(t *testing.T) {
	proven := make(map[int]bool)
	for _, number := range apart {
		proven[number] = true
	}
	for _, c := range gaps {
		proven[c.number] = true
		t.Run(fmt.Sprintf("gap %d: %s", c.number, c.name), c.prove)
	}
	for number := 1; number <= 33; number++ {
		if !proven[number] {
			t.Errorf("gap %d has no case", number)
		}
	}
}

func (c gap) prove(t *testing.T) {
	models := c.models
	if models == nil {
		models = []ollamatest.Model{ollamatest.Says("m", "hi")}
	}
	g, upstream := overheard(t, c.options, models)
	path, method, status := c.path, http.MethodPost, c.status
	if path == "" {
		path = "/v1/chat/completions"
	}
	if c.body == "" {
		method = http.MethodGet
	}
	if status == 0 {
		status = http.StatusOK
	}
	resp := g.do(t, t.Context(), method, path, c.body)
	answer := read(t, resp)
	if resp.StatusCode != status {
		t.Errorf("%s, want %d", resp.Status, status)
	}
	if status != http.StatusOK {
		resp.Body = io.NopCloser(strings.NewReader(answer))
		if param, code := failure(t, resp); param != c.param || code != c.code {
			t.Errorf("param %q, code %q; want %q, %q", param, code, c.param, c.code)
		}
	}
	holds(t, "the answer", answer, c.gets, c.ungot)
	seen := upstream.bodies
	if c.models == nil && status != http.StatusOK && len(seen) > 0 {
		t.Errorf("what is refused reaches Ollama: %q", seen)
	}
	if c.sees != nil && len(seen) != len(c.sees) {
		t.Fatalf("Ollama sees %q, want %d requests", seen, len(c.sees))
	}
	for i, body := range seen {
		if c.sees != nil {
			holds(t, "the request to Ollama", body, c.sees[i:i+1], nil)
		}
		holds(t, "the request to Ollama", body, nil, c.unseen)
	}
}

func holds(t *testing.T, what, text string, wanted, unwanted []string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("%s is\n%s\nand lacks\n%s", what, text, want)
		}
	}
	for _, not := range unwanted {
		if strings.Contains(text, not) {
			t.Errorf("%s is\n%s\nand holds\n%s", what, text, not)
		}
	}
}

// overheard starts a scripted Ollama whose requests for answers are kept to the
// letter, and a gateway in front of it.
func overheard(t *testing.T, options string, models []ollamatest.Model) (*gateway, *witness) {
	t.Helper()
	w, scripted := new(witness), ollamatest.NewHandler(models...)
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if _, own := catalogued[r.Method+" "+r.RequestURI]; !own {
			body, _ := io.ReadAll(r.Body)
			w.mu.Lock()
			w.seen = append(w.seen, r.Clone(r.Context()))
			w.bodies = append(w.bodies, string(body))
			w.mu.Unlock()
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		scripted.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() {
		w.CloseClientConnections()
		w.Close()
	})
	adapter := parsed(t, options)
	adapter.CoalesceLoads = new(bool) // loads are no matter of the dialect
	return inFront(t, adapter, w.address()), w
}

// lines is a model that answers with these lines.
func lines(lines ...string) []ollamatest.Model {
	return []ollamatest.Model{answers(ollamatest.Answer{Raw: []string{strings.Join(lines, "\n") + "\n"}})}
}

// failing is a model that answers with an error.
func failing(status int, text string) []ollamatest.Model {
	return []ollamatest.Model{answers(ollamatest.Answer{Status: status, Error: text})}
}

// able is a model that says hi and has these capabilities.
func able(name string, capabilities ...string) []ollamatest.Model {
	model := ollamatest.Says(name, "hi")
	model.Capabilities = append(capabilities, "completion")
	return []ollamatest.Model{model}
}

var callID = regexp.MustCompile(`"id":"(call_[^"]+)"`)

func TestGap16CallsAreNumberedAndNamed(t *testing.T) {
	const two = `{"message":{"tool_calls":[{"function":{"index":0,"name":"f","arguments":{}}},{"id":"","function":{"index":0,"name":"g","arguments":{}}}]}}`
	g, _ := overheard(t, "", lines(two, two, `{"done":true}`))
	answer := read(t, g.post(t, saying(`"stream":true`)))
	seen := make(map[string]bool)
	for i, id := range callID.FindAllStringSubmatch(answer, -1) {
		if want := fmt.Sprintf(`{"index":%d,"id":"%s"`, i, id[1]); !strings.Contains(answer, want) {
			t.Errorf("%s lacks %s", answer, want)
		}
		seen[id[1]] = true
	}
	if len(seen) != 4 {
		t.Errorf("four calls are named %v", seen)
	}
}

func TestGap23ATextThatIsTooLongIsRefusedByItsOwnName(t *testing.T) {
	upstream := watch(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"the input length exceeds the context length"}`)
	})
	g := inFront(t, ollamaadapter.Handler{}, upstream.address())
	resp := g.do(t, t.Context(), http.MethodPost, "/v1/embeddings", `{"model":"m","input":"a"}`)
	if param, code := failure(t, resp); resp.StatusCode != 400 || param != "input" || code != "context_length_exceeded" {
		t.Errorf("%s, param %q, code %q", resp.Status, param, code)
	}
}

func TestGap25IDsDoNotCollideAndTheFingerprintIsOfTheModel(t *testing.T) {
	identity := regexp.MustCompile(`"id":"(chatcmpl-[A-Z2-7]{24,})".*"system_fingerprint":"(fp_[0-9a-f]{10})"`)
	g, _ := overheard(t, "", []ollamatest.Model{ollamatest.Says("m", "hi"), ollamatest.Says("n", "hi")})
	ids, fingerprints := make(map[string]bool), make(map[string]bool)
	for _, model := range []string{"m", "m", "n"} {
		answer := read(t, g.post(t, strings.Replace(saying(``), `"m"`, `"`+model+`"`, 1)))
		found := identity.FindStringSubmatch(answer)
		if found == nil {
			t.Fatalf("got %s", answer)
		}
		ids[found[1]], fingerprints[found[2]] = true, true
	}
	if len(ids) != 3 || len(fingerprints) != 2 {
		t.Errorf("three answers of two models have ids %v, fingerprints %v", ids, fingerprints)
	}
}

func TestGap26AFullQueueSaysWhenToComeAgain(t *testing.T) {
	g, _ := overheard(t, "", failing(503, "server busy, please try again.  maximum pending requests exceeded"))
	resp := g.post(t, saying(``))
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != 503 || err != nil || seconds < 1 {
		t.Errorf("%s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
}

func TestGap29AModelThatLoads(t *testing.T) {
	t.Run("is waited for, and what then fails still has its status", func(t *testing.T) {
		loaded := make(chan struct{})
		g, server := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{Raw: []string{`{"error":"CANARY"}` + "\n"}, Pace: loaded}))
		go func() {
			server.WaitFor(1)
			loaded <- struct{}{}
		}()
		resp := g.post(t, saying(`"stream":true`))
		if _, code := failure(t, resp); resp.StatusCode != 502 || code != "upstream_error" {
			t.Errorf("%s, code %q", resp.Status, code)
		}
	})
	t.Run("is let go when the client leaves", func(t *testing.T) {
		g, server := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{Content: []string{"hi"}, Pace: make(chan struct{})}))
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+"/v1/chat/completions", strings.NewReader(saying(`"stream":true`)))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			server.WaitFor(1)
			leave()
		}()
		if resp, err := g.client.Do(req); err == nil {
			resp.Body.Close()
			t.Fatal("the client got an answer")
		}
		gone(t, g, arrived(t, server))
	})
}

func TestGap29AModelThatLoadsHasAHeartbeat(t *testing.T) {
	loaded := make(chan struct{})
	g, _ := start(t, parsed(t, "heartbeat 10ms"), answers(ollamatest.Answer{Content: []string{"hi"}, Pace: loaded}))
	events := eventsOf(g.post(t, saying(`"stream":true`))) // the headers come with the first beat
	for range 3 {
		if data := events.next(t); !strings.Contains(data, `"choices":[{"index":0,"delta":{`) || told(t, data) != "role assistant" && told(t, data) != "" {
			t.Fatalf("a heartbeat is %s", data)
		}
	}
	close(loaded)
	if got := strings.Join(events.story(t), " "); !strings.HasSuffix(got, "hi finish stop [DONE]") {
		t.Errorf("after the heartbeats came %q", got)
	}
}

func TestGap30OllamaSeesNoStrangersHeaders(t *testing.T) {
	g, upstream := overheard(t, "", []ollamatest.Model{ollamatest.Says("m", "hi")})
	resp := g.post(t, saying(``), "Authorization", "Bearer CANARY", "Origin", "https://CANARY.example", "Cookie", "CANARY")
	if answer := read(t, resp); resp.StatusCode != 200 || !strings.Contains(answer, `"content":"hi"`) {
		t.Errorf("%s: %s", resp.Status, answer)
	}
	if seen := upstream.seen[0]; seen.Host != "localhost" || strings.Contains(fmt.Sprint(seen.Header), canary) {
		t.Errorf("Ollama sees host %q, headers %v", seen.Host, seen.Header)
	}
}
