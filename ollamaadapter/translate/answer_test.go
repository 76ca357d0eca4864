package translate_test

import (
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// add gives an answer all that Ollama says of a choice.
func add(w *translate.Whole, lines []byte) error {
	_, err := w.Write(lines)
	if err == nil {
		_, err = w.CloseChoice()
	}
	return err
}

// whole translates an answer of one choice.
func whole(body string) (*openai.Completion, translate.Summary, error) {
	w, err := wholeOf(body)
	if err != nil {
		return nil, w.Summary(), err
	}
	return w.Completion().(*openai.Completion), w.Summary(), nil
}

func wholeOf(body string) (*translate.Whole, error) {
	w := translate.NewWhole(identity, translate.AnswerForm{Choices: 1})
	return w, add(w, []byte(body))
}

var identity = translate.Identity{ID: "chatcmpl-1", Created: 1_700_000_000, Model: "m"}

// madeUp are the ids of tool calls that Ollama gave none.
var madeUp = regexp.MustCompile(`call_[A-Z2-7]{26}`)

func TestCompletion(t *testing.T) {
	const final = `,"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}`
	for _, test := range []struct{ name, body, message, finish string }{
		{"text", `{"model":"m:latest","message":{"role":"assistant","content":"hi"}` + final,
			`{"role":"assistant","content":"hi","refusal":null}`, "stop"},
		{"nothing said is an empty text, not null", `{"model":"m:latest","message":{"role":"assistant","content":""}` + final,
			`{"role":"assistant","content":"","refusal":null}`, "stop"},
		{"thinking goes under both names", `{"model":"m:latest","message":{"content":"hi","thinking":"hm"}` + final,
			`{"role":"assistant","content":"hi","refusal":null,"reasoning":"hm","reasoning_content":"hm"}`, "stop"},
		{"a tool call has no text beside it but null", `{"model":"m:latest","message":{"content":"","tool_calls":[{"id":"call_1","function":{"index":0,"name":"f","arguments":{"z":1,"a":2}}}]}` + final,
			`{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"z\":1,\"a\":2}"}}]}`, "tool_calls"},
		{"text before a tool call stays", `{"model":"m:latest","message":{"content":"hi","tool_calls":[{"id":"call_1","function":{"name":"f","arguments":{}}}]}` + final,
			`{"role":"assistant","content":"hi","refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]}`, "tool_calls"},
		{"calls without ids and arguments get both", `{"model":"m:latest","message":{"tool_calls":[{"function":{"name":"f","arguments":null}},{"function":{"name":"g"}}]}` + final,
			`{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"ID","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"ID","type":"function","function":{"name":"g","arguments":"{}"}}]}`, "tool_calls"},
		{"a newer Ollama's fields are ignored", `{"model":"m:latest","created_at":"2026-01-01T00:00:00Z","logprobs":[{}],"total_duration":1.5e300,"message":{"content":"hi","x":1}` + final,
			`{"role":"assistant","content":"hi","refusal":null}`, "stop"},
		{"a name twice is no reason to fail", `{"model":"m:latest","model":"m:latest","message":{"content":"hi"}` + final,
			`{"role":"assistant","content":"hi","refusal":null}`, "stop"},
		{"half a rune is replaced", "{\"model\":\"m:latest\",\"message\":{\"content\":\"h\xc3\"}" + final,
			`{"role":"assistant","content":"h` + "\ufffd" + `","refusal":null}`, "stop"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, err := wholeOf(test.body)
			if err != nil {
				t.Fatal(err)
			}
			got := madeUp.ReplaceAllString(string(w.JSON()), "ID")
			want := `{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":` +
				test.message + `,"logprobs":null,"finish_reason":"` + test.finish + `"}],` +
				`"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			wantSummary := translate.Summary{Model: "m:latest", FinishReasons: []string{test.finish}, PromptTokens: 3, CompletionTokens: 2, Counted: true}
			if summary := w.Summary(); !reflect.DeepEqual(summary, wantSummary) {
				t.Errorf("summary %+v, want %+v", summary, wantSummary)
			}
		})
	}
}

func TestCompletionFinishReason(t *testing.T) {
	const calls = `"tool_calls":[{"function":{"name":"f","arguments":{}}}]`
	for _, test := range []struct{ name, message, reason, want string }{
		{"stop", ``, `"stop"`, "stop"},
		{"length", ``, `"length"`, "length"},
		{"load is unknown to SDKs", ``, `"load"`, "stop"},
		{"unload is unknown to SDKs", ``, `"unload"`, "stop"},
		{"no reason", ``, `""`, "stop"},
		{"null for a reason", ``, `null`, "stop"},
		{"tool calls", calls, `"stop"`, "tool_calls"},
		{"tool calls cut off by the limit", calls, `"length"`, "length"},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := `{"message":{` + test.message + `},"done":true,"done_reason":` + test.reason + `}`
			completion, _, err := whole(body)
			if err != nil {
				t.Fatal(err)
			}
			if got := completion.Choices[0].FinishReason; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestCompletionOfWhatIsNoAnswer(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       error
	}{
		{"done:false, as of a model that repeats itself", `{"message":{"content":"CANARY"},"done":false}`, translate.ErrCutShort},
		{"an object of something else", `{"CANARY":1}`, translate.ErrCutShort},
		{"null", `null`, translate.ErrCutShort},
		{"an error", `{"error":"CANARY"}`, translate.ErrUpstream},
		{"an error beside a text", `{"message":{"content":"hi"},"done":true,"error":"CANARY"}`, translate.ErrUpstream},
		{"nothing", ``, translate.ErrCutShort},
		{"a page", `<html>CANARY</html>`, translate.ErrGarbage},
		{"an object cut short", `{"message":{"content":"CANARY`, translate.ErrGarbage},
		{"two objects", `{"done":true}{"done":true}`, translate.ErrGarbage},
		{"content that is no text", `{"message":{"content":["CANARY"]},"done":true}`, translate.ErrGarbage},
		{"an array", `[]`, translate.ErrGarbage},
	} {
		t.Run(test.name, func(t *testing.T) {
			completion, _, err := whole(test.body)
			if !errors.Is(err, test.want) || completion != nil {
				t.Errorf("got %v, %v; want %v", completion, err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("the error repeats the answer: %v", err)
			}
		})
	}
}

func TestNewIDNeverRepeats(t *testing.T) {
	seen := make(map[string]bool)
	for range 10_000 {
		id := translate.NewID("chatcmpl-")
		if !strings.HasPrefix(id, "chatcmpl-") || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}
