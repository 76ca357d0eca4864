package translate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/catalog"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

func TestPeerChatAnswer(t *testing.T) {
	// answer is all that the client gets of a choice and a usage
	answer := func(choice, usage string) string {
		return `{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,` + choice + `}],"usage":` + usage + `}`
	}
	says := func(message, finish string) string {
		return answer(`"message":{"role":"assistant",`+message+`},"logprobs":null,"finish_reason":"`+finish+`"`, `{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}`)
	}
	hi := says(`"content":"hi","refusal":null`, "stop")
	const counts = `"prompt_eval_count":3,"eval_count":2`
	done := func(message, reason string) string {
		return `{"model":"m:latest","created_at":"2020-01-01T00:00:00Z","message":{"role":"assistant",` + message + `},"done":true` + reason + `,` + counts + `}`
	}
	const stop = `,"done_reason":"stop"`
	for _, test := range []struct{ row, name, body, want string }{
		{"id, object, created, model", "all four are the gateway's and the client's own, not the upstream's", done(`"content":"hi"`, stop), hi},
		{"message", "nothing said is an empty text", done(`"content":""`, stop), says(`"content":"","refusal":null`, "stop")},
		{"message", "reasoning goes under both names that clients read", done(`"content":"hi","thinking":"hm"`, stop),
			says(`"content":"hi","refusal":null,"reasoning":"hm","reasoning_content":"hm"`, "stop")},
		{"message", "refusal is null, not missing, for strict types", done(`"content":"hi"`, stop), hi},
		{"tool_calls", "arguments are JSON within a string, in their order, beside null for content",
			done(`"content":"","tool_calls":[{"id":"c","function":{"index":3,"name":"f","arguments":{"b":1,"a":2}}}]`, stop),
			says(`"content":null,"refusal":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"b\":1,\"a\":2}"}}]`, "tool_calls")},
		{"tool_calls", "a call without an id gets one", done(`"content":"","tool_calls":[{"id":"","function":{"name":"f","arguments":{}}}]`, stop),
			says(`"content":null,"refusal":null,"tool_calls":[{"id":"ID","type":"function","function":{"name":"f","arguments":"{}"}}]`, "tool_calls")},
		{"finish_reason", "length", done(`"content":"hi"`, `,"done_reason":"length"`), says(`"content":"hi","refusal":null`, "length")},
		{"finish_reason", "a call that the limit cut off is length, as in Ollama", done(`"tool_calls":[{"id":"c","function":{"name":"f","arguments":{}}}]`, `,"done_reason":"length"`),
			says(`"content":null,"refusal":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]`, "length")},
		{"finish_reason", "load is a stop, because SDKs do not know it", done(`"content":"hi"`, `,"done_reason":"load"`), hi},
		{"finish_reason", "so is unload", done(`"content":"hi"`, `,"done_reason":"unload"`), hi},
		{"finish_reason", "so is none at all, where Ollama says null", done(`"content":"hi"`, ``), hi},
		{"usage", "a count left out is that of the lines", `{"message":{"content":"hi"},"done":true}`,
			answer(`"message":{"role":"assistant","content":"hi","refusal":null},"logprobs":null,"finish_reason":"stop"`, `{"prompt_tokens":0,"completion_tokens":1,"total_tokens":1}`)},
		{"usage", "what was cached is told where Ollama tells it", strings.Replace(done(`"content":"hi"`, stop), counts, counts+`,"prompt_eval_cached_count":1`, 1),
			strings.Replace(hi, `"total_tokens":5`, `"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}`, 1)},
	} {
		t.Run(test.row+": "+test.name, func(t *testing.T) {
			w, err := wholeOf(test.body)
			if err != nil {
				t.Fatal(err)
			}
			if got := madeUp.ReplaceAllString(string(w.JSON()), "ID"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestPeerChatStream(t *testing.T) {
	const doneLine, usage = "[DONE]", `usage {"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}`
	for _, test := range []struct {
		row, name    string
		includeUsage bool
		in           string
		want         []string
		raw          string // what the events hold, to the letter
	}{
		{"role", "it is in the first chunk only", false, hello + world + final,
			[]string{"role", `{"content":"hello"}`, `{"content":" world"}`, "finish stop", doneLine}, `"delta":{"role":"assistant","content":""},`},
		{"content", "a line that says nothing is no chunk", false, hello + quiet + final,
			[]string{"role", `{"content":"hello"}`, "finish stop", doneLine}, ``},
		{"reasoning", "thinking and text of one line are two chunks", false, `{"message":{"content":"hi","thinking":"hm"}}` + "\n" + final,
			[]string{"role", `{"reasoning":"hm","reasoning_content":"hm"}`, `{"content":"hi"}`, "finish stop", doneLine}, ``},
		{"tool_calls", "a call comes whole in one chunk, by our own number and id", false,
			`{"message":{"tool_calls":[{"function":{"index":4,"name":"f","arguments":{"b":1,"a":2}}}]}}` + "\n" + final,
			[]string{"role", `{"tool_calls":[{"index":0,"id":"ID","type":"function","function":{"name":"f","arguments":"{\"b\":1,\"a\":2}"}}]}`, "finish tool_calls", doneLine}, ``},
		{"finish_reason", "it has a chunk of its own, with an empty delta", false, hello + final,
			[]string{"role", `{"content":"hello"}`, "finish stop", doneLine}, `"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]`},
		{"finish_reason", "what the final line says comes before it", false, `{"message":{"content":"hi"},"done":true,"done_reason":"length"}` + "\n",
			[]string{"role", `{"content":"hi"}`, "finish length", doneLine}, ``},
		{"usage", "it has a chunk without choices, if asked for", true, hello + final,
			[]string{"role", `{"content":"hello"}`, "finish stop", usage, doneLine}, `"choices":[],"usage":{`},
		{"usage", "it is not sent unasked", false, hello + final, []string{"role", `{"content":"hello"}`, "finish stop", doneLine}, ``},
		{"created", "all chunks have one, whenever Ollama made them", false,
			`{"created_at":"2020-01-01T00:00:00Z","message":{"content":"a"}}` + "\n" + `{"created_at":"2021-01-01T00:00:00Z","message":{"content":"b"}}` + "\n" + final,
			[]string{"role", `{"content":"a"}`, `{"content":"b"}`, "finish stop", doneLine}, `"created":1700000000,`},
		{"[DONE]", "it is the last event, whatever Ollama adds", false, final + hello, []string{"role", "finish stop", doneLine}, "data: [DONE]\n\n"},
	} {
		t.Run(test.row+": "+test.name, func(t *testing.T) {
			events, stream, err := feed(test.includeUsage, test.in)
			if err != nil {
				t.Fatal(err)
			}
			endedOnce(t, events, stream, err)
			if got := story(t, events); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if !strings.Contains(events, test.raw) {
				t.Errorf("%s\nlacks %s", events, test.raw)
			}
			if n := strings.Count(events, `"usage"`); n > 1 || n == 1 && !test.includeUsage {
				t.Errorf("%d chunks tell a usage: %s", n, events)
			}
		})
	}
	for _, test := range []struct {
		row, name, in string
		want          error
	}{
		{"errors", "one within a stream ends it without finish and [DONE], where Ollama goes silent", hello + `{"error":"CANARY"}` + "\n" + final, translate.ErrUpstream},
		{"errors", "so does an end without a final line", hello, translate.ErrCutShort},
	} {
		t.Run(test.row+": "+test.name, func(t *testing.T) {
			events, stream, err := feed(true, test.in)
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			endedOnce(t, events, stream, err)
			if got := story(t, events); !slices.Equal(got, []string{"role", `{"content":"hello"}`}) {
				t.Errorf("sent %q", got)
			}
		})
	}
}

func TestPeerErrors(t *testing.T) {
	for _, test := range []struct {
		name     string
		upstream int
		body     string
		status   int
		want     string // type, param and code
	}{
		{"400 stays the client's fault", 400, `{"error":"CANARY"}`, 400, `"type":"invalid_request_error","param":null,"code":"invalid_value"`},
		{"400 names the field, where Ollama says null", 400, `{"error":"m does not support tools"}`, 400, `"type":"invalid_request_error","param":"tools","code":"unsupported_parameter"`},
		{"404 is of the type that SDKs know", 404, `{"error":"model 'CANARY' not found"}`, 404, `"type":"invalid_request_error","param":"model","code":"model_not_found"`},
		{"503 stays 503, of a type that SDKs know", 503, `{"error":"CANARY"}`, 503, `"type":"server_error","param":null,"code":"server_overloaded"`},
		{"500 is no status of this server's own", 500, `{"error":"CANARY"}`, 502, `"type":"server_error","param":null,"code":"upstream_error"`},
		{"401 tells of our own set-up", 401, `{"error":"unauthorized"}`, 502, `"type":"server_error","param":null,"code":"upstream_error"`},
	} {
		t.Run("errors: "+test.name, func(t *testing.T) {
			status, e := translate.UpstreamFault("/api/chat", test.upstream, []byte(test.body))
			if got := string(e.JSON()); status != test.status || !strings.Contains(got, test.want) || strings.Contains(got, canary) {
				t.Errorf("%d: %s\nwant %d: %s", status, got, test.status, test.want)
			}
		})
	}
}

// chatForm is what a chat request says of its answer.
func chatForm(t *testing.T, fields string) translate.AnswerForm {
	t.Helper()
	req, err := translate.DecodeChat([]byte(asking(fields)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exchange(req, complete(translate.Settings{}, req))
	if err != nil {
		t.Fatal(err)
	}
	return out.Answer
}

// textForm is what a request for a completion says of its answer.
func textForm(t *testing.T, fields string) translate.AnswerForm {
	t.Helper()
	if fields != "" {
		fields = "," + fields
	}
	req, err := translate.DecodeText([]byte(`{"prompt":"hé "` + fields + `}`))
	if err != nil {
		t.Fatal(err)
	}
	draft, err := translate.DraftText(req)
	if err != nil {
		t.Fatal(err)
	}
	out, err := draft.For(translate.Settings{Model: "m", Features: ollama.Newest})
	if err != nil {
		t.Fatal(err)
	}
	return out.Answer
}

// answered is what a client gets for Ollama's lines: a whole answer, or events.
func answered(t *testing.T, form translate.AnswerForm, streamed bool, lines ...string) string {
	t.Helper()
	if !streamed {
		w := translate.NewWhole(identity, form)
		if _, err := w.Write([]byte(strings.Join(lines, "\n"))); err != nil {
			t.Fatal(err)
		}
		body, err := w.CloseChoice()
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	stream := translate.NewStream(identity, form)
	events, err := stream.Write([]byte(strings.Join(lines, "\n") + "\n"))
	if err != nil || !stream.ChoiceDone() {
		t.Fatalf("%v, done %t", err, stream.ChoiceDone())
	}
	return string(events)
}

func TestPeerLogprobs(t *testing.T) {
	const in = `"logprobs":[{"token":"hi","logprob":-0.5,"bytes":[104,105],"top_logprobs":[{"token":"ho","logprob":-1}]},{"token":"!","logprob":-2}]`
	const want = `"logprobs":{"content":[{"token":"hi","logprob":-0.5,"bytes":[104,105],"top_logprobs":[{"token":"ho","logprob":-1,"bytes":null}]},` +
		`{"token":"!","logprob":-2,"bytes":null,"top_logprobs":[]}],"refusal":null}`
	const line = `{"message":{"content":"hi!"},` + in + `,"done":true}`
	for _, test := range []struct {
		name, fields string
		streamed     bool
		lines        []string
		want         string
	}{
		{"no list is missing, where Ollama leaves out the empty ones", `"logprobs":true,"top_logprobs":1`, false, []string{line}, want},
		{"nor in a stream", `"logprobs":true,"top_logprobs":1`, true, []string{line}, want},
		{"those that come without text are sent without text", `"logprobs":true`, true, []string{`{"message":{"content":""},` + in + `}`, `{"done":true}`}, `"delta":{"content":""},` + want},
		{"they are null where nobody asked", ``, false, []string{line}, `"logprobs":null,"finish_reason"`},
		{"nor in a stream where nobody asked", ``, true, []string{line}, `"delta":{"content":"hi!"},"logprobs":null`},
	} {
		t.Run("logprobs: "+test.name, func(t *testing.T) {
			if got := answered(t, chatForm(t, test.fields), test.streamed, test.lines...); !strings.Contains(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestPeerTextAnswer(t *testing.T) {
	const said = `{"response":"né","thinking":"CANARY","logprobs":[{"token":"né","logprob":-0.5}]`
	const end = `"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}`
	const usage = `"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}`
	streamedLines := []string{said + `}`, `{"response":"",` + end}
	for _, test := range []struct {
		row, name, fields string
		streamed          bool
		lines             []string
		want              string
	}{
		{"thinking", "a text shows none of it", ``, false, []string{said + `,` + end}, `"choices":[{"index":0,"text":"né","logprobs":null,"finish_reason":"stop"}],` + usage},
		{"thinking", "nor does a stream", ``, true, streamedLines, `"choices":[{"index":0,"text":"né","logprobs":null,"finish_reason":null}]`},
		{"logprobs", "they come in the lists of old, where Ollama returns none", `"logprobs":0`, false, []string{said + `,` + end},
			`"logprobs":{"tokens":["né"],"token_logprobs":[-0.5],"top_logprobs":[{}],"text_offset":[0]}`},
		{"logprobs", "in a stream too", `"logprobs":0`, true, streamedLines, `"logprobs":{"tokens":["né"],"token_logprobs":[-0.5],"top_logprobs":[{}],"text_offset":[0]}`},
		{"logprobs", "their offsets count the prompt that is echoed", `"logprobs":0,"echo":true`, true, streamedLines, `"text_offset":[3]`},
		{"echo", "the prompt comes before the text, where Ollama passes over the wish", `"echo":true`, false, []string{said + `,` + end}, `"text":"hé né"`},
		{"echo", "in a stream it has a chunk of its own", `"echo":true`, true, streamedLines, `"choices":[{"index":0,"text":"hé ","logprobs":null,"finish_reason":null}]`},
		{"include_usage", "the counts are Ollama's, where its own /v1 streams zeros", `"stream_options":{"include_usage":true}`, true, streamedLines, `"choices":[],` + usage},
		{"finish_reason", "load is a stop here too", ``, false, []string{`{"response":"hi","done":true,"done_reason":"load"}`}, `"text":"hi","logprobs":null,"finish_reason":"stop"`},
	} {
		t.Run(test.row+": "+test.name, func(t *testing.T) {
			got := answered(t, textForm(t, test.fields), test.streamed, test.lines...)
			if !strings.Contains(got, test.want) || !strings.Contains(got, `"object":"text_completion"`) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if strings.Contains(got, canary) || strings.Count(got, `"usage"`) > 1 {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestPeerEmbeddings(t *testing.T) {
	const body = `{"model":"m:latest","embeddings":[[1,-0.5]],"prompt_eval_count":3}`
	const rest = `"model":"asked","usage":{"prompt_tokens":3,"total_tokens":3}}`
	for _, test := range []struct{ row, name, format, want string }{
		{"encoding_format", "left open, a vector is numbers", ``, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,-0.5]}],` + rest},
		{"encoding_format", "float is numbers", `float`, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,-0.5]}],` + rest},
		{"encoding_format", "base64 is little-endian 32-bit numbers", `base64`, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAL8="}],` + rest},
		{"model, usage", "the name is the client's, and all tokens are the prompt's", ``, rest},
	} {
		t.Run(test.row+": "+test.name, func(t *testing.T) {
			list, _, err := new(translate.Exchange).Embeddings([]byte(body), embedding(t, `{"input":"a","encoding_format":"`+test.format+`"}`), "asked")
			if err != nil {
				t.Fatal(err)
			}
			if data, err := json.Marshal(list); err != nil || !strings.HasSuffix(string(data), test.want) {
				t.Errorf("%v\ngot  %s\nwant %s", err, data, test.want)
			}
		})
	}
}

func TestPeerModels(t *testing.T) {
	modified := time.Unix(1_700_000_000, 0)
	for _, test := range []struct {
		name string
		in   catalog.Model
		want string
	}{
		{"a model without a namespace is the library's, and as old as its file", catalog.Model{Tag: ollama.Tag{Name: "m:latest", ModifiedAt: modified}},
			`{"id":"asked","object":"model","created":1700000000,"owned_by":"library"}`},
		{"a namespace is the owner", catalog.Model{Tag: ollama.Tag{Name: "jo/n:7b", ModifiedAt: modified}},
			`{"id":"asked","object":"model","created":1700000000,"owned_by":"jo"}`},
		{"a registry is no owner", catalog.Model{Tag: ollama.Tag{Name: "hf.co/jo/n:7b", ModifiedAt: modified}},
			`{"id":"asked","object":"model","created":1700000000,"owned_by":"jo"}`},
		{"context and abilities are told, which Ollama's own list does not have", catalog.Model{
			Tag: ollama.Tag{Name: "m:latest"}, Known: true, Capabilities: []string{"completion", "tools"}, ContextLength: 40960},
			`{"id":"asked","object":"model","created":0,"owned_by":"library","context_length":40960,"capabilities":["completion","tools"]}`},
	} {
		t.Run("models: "+test.name, func(t *testing.T) {
			if data, err := json.Marshal(translate.Model("asked", test.in)); err != nil || string(data) != test.want {
				t.Errorf("%v\ngot  %s\nwant %s", err, data, test.want)
			}
		})
	}
	t.Run("models: an empty list is a list, where Ollama says null", func(t *testing.T) {
		data, err := json.Marshal(openai.ModelList{Object: "list"})
		if want := `{"object":"list","data":[]}`; err != nil || string(data) != want {
			t.Errorf("%v: got %s, want %s", err, data, want)
		}
	})
}
