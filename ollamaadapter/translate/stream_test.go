package translate_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

const (
	hello = `{"model":"m:latest","message":{"role":"assistant","content":"hello"},"done":false}` + "\n"
	world = `{"model":"m:latest","message":{"role":"assistant","content":" world"},"done":false}` + "\n"
	quiet = `{"model":"m:latest","message":{"role":"assistant","content":""},"done":false}` + "\n"
	final = `{"model":"m:latest","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}` + "\n"
)

func TestStream(t *testing.T) {
	const done, usage = "[DONE]", `usage {"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}`
	for _, test := range []struct {
		name         string
		includeUsage bool
		in           string
		want         []string
	}{
		{"role first, then text, finish, end", false, hello + world + final,
			[]string{"role", `{"content":"hello"}`, `{"content":" world"}`, "finish stop", done}},
		{"usage in an event of its own, if asked for", true, hello + final,
			[]string{"role", `{"content":"hello"}`, "finish stop", usage, done}},
		{"an answer of nothing", false, final, []string{"role", "finish stop", done}},
		{"lines that say nothing send nothing", false, quiet + hello + quiet + final,
			[]string{"role", `{"content":"hello"}`, "finish stop", done}},
		{"thinking goes under both names", false,
			`{"message":{"content":"","thinking":"hm"}}` + "\n" + final,
			[]string{"role", `{"reasoning":"hm","reasoning_content":"hm"}`, "finish stop", done}},
		{"thinking and text of one line are two events", false,
			`{"message":{"content":"hi","thinking":"hm"}}` + "\n" + final,
			[]string{"role", `{"reasoning":"hm","reasoning_content":"hm"}`, `{"content":"hi"}`, "finish stop", done}},
		{"calls are numbered and named by us, because Ollama numbers all of them 0", false,
			`{"message":{"tool_calls":[{"function":{"index":0,"name":"f","arguments":{"z":1,"a":2}}},{"id":"call_own","function":{"index":0,"name":"g","arguments":{}}}]}}` + "\n" +
				`{"message":{"tool_calls":[{"function":{"index":0,"name":"h"}}]}}` + "\n" + final,
			[]string{
				"role",
				`{"tool_calls":[{"index":0,"id":"ID","type":"function","function":{"name":"f","arguments":"{\"z\":1,\"a\":2}"}},` +
					`{"index":1,"id":"call_own","type":"function","function":{"name":"g","arguments":"{}"}}]}`,
				`{"tool_calls":[{"index":2,"id":"ID","type":"function","function":{"name":"h","arguments":"{}"}}]}`,
				"finish tool_calls", done,
			}},
		{"the final line may say something too", false,
			`{"message":{"content":"hi","thinking":"hm","tool_calls":[{"id":"c","function":{"name":"f","arguments":{}}}]},"done":true,"done_reason":"stop"}` + "\n",
			[]string{
				"role", `{"reasoning":"hm","reasoning_content":"hm"}`, `{"content":"hi"}`,
				`{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}`,
				"finish tool_calls", done,
			}},
		{"length", false, strings.Replace(hello+final, `"stop"`, `"length"`, 1), []string{"role", `{"content":"hello"}`, "finish length", done}},
		{"load is a stop to SDKs", false, strings.Replace(final, `"stop"`, `"load"`, 1), []string{"role", "finish stop", done}},
		{"no reason is a stop", false, `{"done":true}` + "\n", []string{"role", "finish stop", done}},
		{"counts left out are zero", true, `{"done":true}` + "\n",
			[]string{"role", "finish stop", `usage {"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`, done}},
		{"CRLF", false, strings.ReplaceAll(hello+final, "\n", "\r\n"), []string{"role", `{"content":"hello"}`, "finish stop", done}},
		{"blank lines", false, "\n\r\n" + hello + " \t\n\n" + final + "\n", []string{"role", `{"content":"hello"}`, "finish stop", done}},
		{"no line break at the end", false, hello + strings.TrimSpace(final), []string{"role", `{"content":"hello"}`, "finish stop", done}},
		{"two final lines end it once", true, hello + final + final, []string{"role", `{"content":"hello"}`, "finish stop", usage, done}},
		{"text after the end", false, hello + final + world, []string{"role", `{"content":"hello"}`, "finish stop", done}},
		{"garbage after the end", false, hello + final + "garbage\n", []string{"role", `{"content":"hello"}`, "finish stop", done}},
		{"an error after the end", false, hello + final + `{"error":"x"}` + "\n", []string{"role", `{"content":"hello"}`, "finish stop", done}},
		{"text cannot end an event or begin another", false,
			`{"message":{"content":"\n\ndata: [DONE]\n\n\r\u2028\u2029\u0000"}}` + "\n" + final,
			[]string{"role", `{"content":"\n\ndata: [DONE]\n\n\r\u2028\u2029\u0000"}`, "finish stop", done}},
		{"raw line separators are escaped", false,
			"{\"message\":{\"content\":\"\u2028\u2029\"}}\n" + final,
			[]string{"role", `{"content":"\u2028\u2029"}`, "finish stop", done}},
		{"raw line separators in arguments are escaped", false,
			"{\"message\":{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":\"\u2028\"}}}]}}\n" + final,
			[]string{"role", `{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":\"\u2028\"}"}}]}`, "finish tool_calls", done}},
		{"half a rune is replaced", false, "{\"message\":{\"content\":\"h\xc3\"}}\n" + final,
			[]string{"role", "{\"content\":\"h\ufffd\"}", "finish stop", done}},
		{"half a rune in arguments is replaced", false,
			"{\"message\":{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":\"h\xc3\"}}}]}}\n" + final,
			[]string{"role", "{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"h\ufffd\\\"}\"}}]}", "finish tool_calls", done}},
	} {
		t.Run(test.name, func(t *testing.T) {
			events, stream, err := feed(test.includeUsage, test.in)
			if err != nil {
				t.Fatal(err)
			}
			endedOnce(t, events, stream, err)
			if got := story(t, events); !slices.Equal(got, test.want) {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(test.want, "\n     "))
			}
			if !test.includeUsage && strings.Contains(events, `"usage"`) {
				t.Errorf("usage that nobody asked for: %s", events)
			}
		})
	}
}

func TestStreamThatFails(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     error
		sent     []string
	}{
		{"nothing at all", "", translate.ErrCutShort, nil},
		{"only lines that say nothing", quiet + quiet, translate.ErrCutShort, nil},
		{"no final line", hello + world, translate.ErrCutShort, []string{"role", `{"content":"hello"}`, `{"content":" world"}`}},
		{"a line cut short", hello + final[:40], translate.ErrGarbage, []string{"role", `{"content":"hello"}`}},
		{"an error first", `{"error":"CANARY"}` + "\n", translate.ErrUpstream, nil},
		{"an error first, without a line break", `{"error":"CANARY"}`, translate.ErrUpstream, nil},
		{"an error after a line that says nothing", quiet + `{"error":"CANARY"}` + "\n", translate.ErrUpstream, nil},
		{"an error in the middle", hello + `{"error":"CANARY"}` + "\n" + world + final, translate.ErrUpstream, []string{"role", `{"content":"hello"}`}},
		{"garbage first", "<html>CANARY\n" + hello + final, translate.ErrGarbage, nil},
		{"garbage in the middle", hello + "CANARY\n" + final, translate.ErrGarbage, []string{"role", `{"content":"hello"}`}},
		{"two objects in one line", strings.TrimSpace(hello) + final, translate.ErrGarbage, nil},
		{"server-sent events, as of another kind of server", "data: " + hello + "data: " + final, translate.ErrGarbage, nil},
		{"a line of more than 8 MiB", hello + `{"message":{"content":"` + strings.Repeat("x", 8<<20) + `"}}` + "\n" + final, translate.ErrGarbage, []string{"role", `{"content":"hello"}`}},
		{"more than 8 MiB without a line break", strings.Repeat(" ", 8<<20+1), translate.ErrGarbage, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			events, stream, err := feed(true, test.in)
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			endedOnce(t, events, stream, err)
			if got := story(t, events); !slices.Equal(got, test.sent) {
				t.Errorf("sent %q, want %q", got, test.sent)
			}
			if err != nil && strings.Contains(err.Error()+events, canary) {
				t.Errorf("the upstream's words are passed on: %v %s", err, events)
			}
		})
	}
}

func TestStreamTakesALineOf8MiB(t *testing.T) {
	const head, tail = `{"message":{"content":"`, `"}}`
	line := head + strings.Repeat("x", 8<<20-len(head)-len(tail)) + tail
	events, _, err := feed(false, line[:5<<20], line[5<<20:]+"\n"+final)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) < 8<<20-100 {
		t.Errorf("%d bytes of events", len(events))
	}
}

func TestStreamSendsAsItGets(t *testing.T) {
	stream := translate.NewStream(identity, translate.AnswerForm{Choices: 1})
	for _, step := range []struct {
		name, piece string
		want        []string
	}{
		{"nothing before there is something to say", quiet, nil},
		{"nothing for half a line", hello[:20], nil},
		{"a line as soon as it is whole", hello[20:], []string{"role", `{"content":"hello"}`}},
		{"two lines at once", world + final, []string{`{"content":" world"}`, "finish stop", "[DONE]"}},
		{"nothing after the end", hello, nil},
	} {
		events, err := stream.Write([]byte(step.piece))
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := story(t, string(events)); !slices.Equal(got, step.want) {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
	if events, err := stream.CloseChoice(); err != nil || len(events) > 0 {
		t.Errorf("Close: %q, %v", events, err)
	}
}

func TestStreamStaysFailed(t *testing.T) {
	stream := translate.NewStream(identity, translate.AnswerForm{Choices: 1})
	for _, piece := range []string{hello, "garbage\n"} {
		_, _ = stream.Write([]byte(piece))
	}
	if events, err := stream.Write([]byte(world + final)); len(events) > 0 || !errors.Is(err, translate.ErrGarbage) {
		t.Errorf("Write after a failure: %q, %v", events, err)
	}
	if events, err := stream.CloseChoice(); len(events) > 0 || !errors.Is(err, translate.ErrGarbage) {
		t.Errorf("Close after a failure: %q, %v", events, err)
	}
}

func TestStreamSummary(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     translate.Summary
	}{
		{"Ollama's own counts, once they have come", hello + final,
			translate.Summary{Model: "m:latest", FinishReasons: []string{"stop"}, PromptTokens: 3, CompletionTokens: 2, Counted: true}},
		{"an end without a count leaves the estimate", hello + world + `{"model":"m:latest","done":true}` + "\n",
			translate.Summary{Model: "m:latest", FinishReasons: []string{"stop"}, CompletionTokens: 2}},
		{"so does a count that can be none", hello + `{"model":"m:latest","done":true,"eval_count":-7,"prompt_eval_count":-1}` + "\n",
			translate.Summary{Model: "m:latest", FinishReasons: []string{"stop"}, CompletionTokens: 1}},
		{"until then each line that said something is a token", quiet + hello + world + `{"model":"m:latest","message":{"thinking":"hm"}}` + "\n",
			translate.Summary{Model: "m:latest", CompletionTokens: 3}},
		{"a failure leaves what has come", hello + `{"error":"x"}` + "\n",
			translate.Summary{Model: "m:latest", CompletionTokens: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, stream, _ := feed(false, test.in)
			if got := stream.Summary(); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestFailureEvent(t *testing.T) {
	got := string(new(translate.Stream).Failure(&openai.Error{Message: "a\n\n\u2028b", Type: "t", Code: "c"}))
	want := `data: {"error":{"message":"a\n\n\u2028b","type":"t","param":null,"code":"c"}}` + "\n\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
