package translate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// Lines of Ollama's own, with what a later version may add to them.
const (
	saidHi  = `{"model":"m:latest","created_at":"T1","message":{"role":"assistant","content":"hi","x":1},"done":false,"y":{"b":1,"a":[2]}}` + "\n"
	saidHo  = `{"model":"m:latest","created_at":"T2","message":{"role":"assistant","content":" ho"},"done":false}` + "\n"
	thought = `{"model":"m:latest","created_at":"T0","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}` + "\n"
	callsF  = `{"message":{"role":"assistant","content":"","tool_calls":[{"id":"c1","function":{"index":0,"name":"f","arguments":{"b":1,"a":"é"},"x":1}}]},"done":false}` + "\n"
	callsG  = `{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"g","arguments":{}},"y":2},{"function":{"name":"h"}}]},"done":false}` + "\n"
	likely  = `{"message":{"role":"assistant","content":"hi"},"done":false,"logprobs":[{"token":"hi","logprob":-0.50,"x":1}]}` + "\n"
	isDone  = `{"model":"m:latest","created_at":"T9","message":{"role":"assistant","content":"","z":1},"done":true,"done_reason":"stop","total_duration":12345678901234567890,"eval_count":2,"w":null}` + "\n"
	wrote   = `{"model":"m:latest","created_at":"T1","response":"hi","done":false,"x":1}` + "\n"
	written = `{"model":"m:latest","created_at":"T9","response":"","done":true,"done_reason":"stop","context":[1,2,3],"eval_count":1}` + "\n"
	madeEnd = `{"model":"m","created_at":"2023-11-14T22:13:20Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"length"}` + "\n"
	failing = `{"error":"CANARY"}` + "\n"
)

var generates = translate.AnswerForm{Choices: 1, Text: true}

func TestNativeStream(t *testing.T) {
	chat := translate.AnswerForm{Choices: 1}
	for _, test := range []struct {
		name     string
		form     translate.AnswerForm
		in, want string
	}{
		{"lines pass as they are, with fields that are not known here", chat, saidHi + saidHo + isDone, saidHi + saidHo + isDone},
		{"thinking passes", chat, thought + saidHi + isDone, thought + saidHi + isDone},
		{"calls in several lines pass, each with its own number and id or none", chat, callsF + callsG + isDone, callsF + callsG + isDone},
		{"probabilities pass as they are written", chat, likely + isDone, likely + isDone},
		{"a text passes, and the context at its end", generates, wrote + written, wrote + written},
		{"a line that says nothing passes between others", chat, saidHi + quiet + isDone, saidHi + quiet + isDone},
		{"before the first word it does not, so that a failure there has a status", chat, quiet + saidHi + isDone, saidHi + isDone},
		{"but one that says what is not known here does, such as the progress of an image", generates,
			`{"model":"m","created_at":"T1","response":"","done":false,"completed":1,"total":9}` + "\n" + `{"model":"m","created_at":"T2","response":"","image":"aGk=","done":true}` + "\n",
			`{"model":"m","created_at":"T1","response":"","done":false,"completed":1,"total":9}` + "\n" + `{"model":"m","created_at":"T2","response":"","image":"aGk=","done":true}` + "\n"},
		{"the end of a load or unload passes alone", chat, `{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"unload"}` + "\n",
			`{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"unload"}` + "\n"},
		{"blank lines are left out", chat, "\n\r\n" + saidHi + " \t\n\n" + isDone + "\n", saidHi + isDone},
		{"CRLF becomes LF", chat, strings.ReplaceAll(saidHi+isDone, "\n", "\r\n"), saidHi + isDone},
		{"a last line without its end gets one", chat, saidHi + strings.TrimSpace(isDone), saidHi + isDone},
		{"two final lines end it once", chat, saidHi + isDone + isDone, saidHi + isDone},
		{"text after the end is left out", chat, saidHi + isDone + saidHo, saidHi + isDone},
		{"an error after the end is left out", chat, saidHi + isDone + failing, saidHi + isDone},
		{"half a rune passes as it is", chat, "{\"message\":{\"content\":\"h\xc3\"}}\n" + isDone, "{\"message\":{\"content\":\"h\xc3\"}}\n" + isDone},
		{"so do blanks, and a name that stands twice", chat, `{ "message": {"content":"a","content":"b"} }` + "\n" + isDone, `{ "message": {"content":"a","content":"b"} }` + "\n" + isDone},
		{"what is more than was asked for is not shown", translate.AnswerForm{Choices: 1, MaxTokens: 2}, thought + saidHi + saidHo + isDone, thought + saidHi + madeEnd},
		{"as much as was asked for is Ollama's to end", translate.AnswerForm{Choices: 1, MaxTokens: 2}, saidHi + saidHo + isDone, saidHi + saidHo + isDone},
		{"the end is Ollama's, though it says one more", translate.AnswerForm{Choices: 1, MaxTokens: 1}, saidHi + strings.Replace(isDone, `""`, `"!"`, 1), saidHi + strings.Replace(isDone, `""`, `"!"`, 1)},
		{"lines that say nothing are no tokens", translate.AnswerForm{Choices: 1, MaxTokens: 1}, saidHi + quiet + quiet + isDone, saidHi + quiet + quiet + isDone},
		{"a text ends in its own form when it is too long", translate.AnswerForm{Choices: 1, Text: true, MaxTokens: 1}, wrote + wrote + written,
			wrote + `{"model":"m","created_at":"2023-11-14T22:13:20Z","response":"","done":true,"done_reason":"length"}` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for how, pieces := range map[string][]string{"at once": {test.in}, "by lines": strings.SplitAfter(test.in, "\n"), "by bytes": bytewise(test.in)} {
				got, err := brought(t, translate.NewNativeStream(identity, test.form), pieces, nil)
				if got != test.want || err != nil {
					t.Errorf("%s: %v\ngot  %q\nwant %q", how, err, got, test.want)
				}
			}
		})
	}
}

func TestNativeWhole(t *testing.T) {
	// object is the final line of a chat with what was said in it
	object := func(message string) string {
		return strings.TrimSpace(strings.Replace(isDone, `"content":"","z":1`, message, 1))
	}
	chat := translate.AnswerForm{Choices: 1}
	for _, test := range []struct {
		name     string
		form     translate.AnswerForm
		in, want string
	}{
		{"it is the final line, fields that are not known here too, with all the text", chat, saidHi + saidHo + isDone, object(`"content":"hi ho","z":1`)},
		{"thinking is gathered", chat, thought + thought + saidHi + isDone, object(`"content":"hi","z":1,"thinking":"hmhm"`)},
		{"calls of several lines stand side by side, as they are", chat, callsF + saidHi + callsG + isDone,
			object(`"content":"hi","z":1,"tool_calls":[{"id":"c1","function":{"index":0,"name":"f","arguments":{"b":1,"a":"é"},"x":1}},{"function":{"name":"g","arguments":{}},"y":2},{"function":{"name":"h"}}]`)},
		{"probabilities of several lines stand side by side, as they are", chat, likely + likely + isDone,
			strings.TrimSuffix(object(`"content":"hihi","z":1`), "}") + `,"logprobs":[{"token":"hi","logprob":-0.50,"x":1},{"token":"hi","logprob":-0.50,"x":1}]}`},
		{"a text has its context, and thinking beside it", generates, `{"thinking":"hm"}` + "\n" + wrote + wrote + written,
			`{"model":"m:latest","created_at":"T9","response":"hihi","done":true,"done_reason":"stop","context":[1,2,3],"eval_count":1,"thinking":"hm"}`},
		{"one line that says all is that line", chat, `{"model":"m","message":{"role":"assistant","content":"hi","thinking":"hm","tool_calls":[{"x":1}]},"done":true,"logprobs":[{"x":1}]}`,
			`{"model":"m","message":{"role":"assistant","content":"hi","thinking":"hm","tool_calls":[{"x":1}]},"done":true,"logprobs":[{"x":1}]}`},
		{"what the final line says comes last", chat, saidHi + strings.Replace(isDone, `"content":""`, `"content":"!"`, 1), object(`"content":"hi!","z":1`)},
		{"nothing said is an empty text", chat, quiet + isDone, object(`"content":"","z":1`)},
		{"a final line without a message gets one", chat, saidHi + `{"done":true}`, `{"done":true,"message":{"role":"assistant","content":"hi"}}`},
		{"so does one whose message is null", chat, saidHi + `{"message":null,"done":true}`, `{"message":{"role":"assistant","content":"hi"},"done":true}`},
		{"so does a text without a response", generates, wrote + `{"done":true}`, `{"done":true,"response":"hi"}`},
		{"blank lines and CRLF are no matter", chat, "\r\n\n" + strings.ReplaceAll(saidHi+isDone, "\n", "\r\n \r\n"), object(`"content":"hi","z":1`)},
		{"a last line without its end counts", chat, saidHi + strings.TrimSpace(isDone), object(`"content":"hi","z":1`)},
		{"of two final lines the first counts", chat, saidHi + isDone + strings.Replace(isDone, "stop", "length", 1), object(`"content":"hi","z":1`)},
		{"text after the end is left out", chat, saidHi + isDone + saidHo + callsF, object(`"content":"hi","z":1`)},
		{"an error after the end is left out", chat, saidHi + isDone + failing, object(`"content":"hi","z":1`)},
		{"half a rune is replaced", chat, "{\"message\":{\"content\":\"h\xc3\"}}\n" + isDone, object(`"content":"h` + "\ufffd" + `","z":1`)},
		{"what is more than was asked for is not shown", translate.AnswerForm{Choices: 1, MaxTokens: 2}, thought + saidHi + saidHo + isDone,
			`{"model":"m","created_at":"2023-11-14T22:13:20Z","done":true,"done_reason":"length","message":{"role":"assistant","content":"hi","thinking":"hm"}}`},
		{"nor of a text", translate.AnswerForm{Choices: 1, Text: true, MaxTokens: 1}, wrote + wrote + written,
			`{"model":"m","created_at":"2023-11-14T22:13:20Z","done":true,"done_reason":"length","response":"hi"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			for how, pieces := range map[string][]string{"at once": {test.in}, "by lines": strings.SplitAfter(test.in, "\n"), "by bytes": bytewise(test.in)} {
				got, err := brought(t, translate.NewNativeWhole(identity, test.form), pieces, nil)
				if got != test.want || err != nil {
					t.Errorf("%s: %v\ngot  %s\nwant %s", how, err, got, test.want)
				}
			}
		})
	}
}

func TestNativeAnswersThatFail(t *testing.T) {
	for _, test := range []struct {
		name, in, sent string
		want           error
	}{
		{"nothing at all", "", "", translate.ErrCutShort},
		{"an error first", failing, "", translate.ErrUpstream},
		{"an error after a line that says nothing", quiet + failing, "", translate.ErrUpstream},
		{"an error in the midst, without its line break", saidHi + strings.TrimSpace(failing), saidHi, translate.ErrUpstream},
		{"no final line", saidHi + saidHo, saidHi + saidHo, translate.ErrCutShort},
		{"a line cut short", saidHi + isDone[:40], saidHi, translate.ErrGarbage},
		{"garbage in the midst", saidHi + "<html>CANARY\n" + isDone, saidHi, translate.ErrGarbage},
		{"two objects in one line", strings.TrimSpace(saidHi) + isDone, "", translate.ErrGarbage},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := brought(t, translate.NewNativeStream(identity, translate.AnswerForm{Choices: 1}), []string{test.in}, nil)
			if got != test.sent || !errors.Is(err, test.want) {
				t.Errorf("stream: sent %q, %v; want %q, %v", got, err, test.sent, test.want)
			}
			got, err = brought(t, translate.NewNativeWhole(identity, translate.AnswerForm{Choices: 1}), []string{test.in}, nil)
			if got != "" || !errors.Is(err, test.want) {
				t.Errorf("whole: sent %q, %v; want nothing, %v", got, err, test.want)
			}
		})
	}
	t.Run("a stream tells of it in a line as Ollama's own", func(t *testing.T) {
		stream := translate.NewNativeStream(identity, translate.AnswerForm{Choices: 1})
		if got := string(stream.Failure(&openai.Error{Message: "a\n\"b", Type: "t", Code: "c"})); got != `{"error":"a\n\"b"}`+"\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a whole answer has no way to tell", func(t *testing.T) {
		whole := translate.NewNativeWhole(identity, translate.AnswerForm{Choices: 1})
		if got := whole.Failure(openai.ErrorOf(502)); got != nil {
			t.Errorf("got %q", got)
		}
	})
}

func TestNativeAnswersCutOff(t *testing.T) {
	const object = `{"model":"m","created_at":"2023-11-14T22:13:20Z","done":true,"done_reason":"length","message":{"role":"assistant","content":`
	for _, test := range []struct {
		name, in, stream, whole string
		finished                []string
	}{
		{"before the first word", quiet, madeEnd, object + `""}}`, []string{"length"}},
		{"in the midst, within a line", thought + saidHi + saidHo[:50], thought + saidHi + madeEnd, object + `"hi","thinking":"hm"}}`, []string{"length"}},
		{"just when Ollama has ended it", saidHi + isDone, saidHi + isDone, strings.TrimSpace(strings.Replace(isDone, `"content":""`, `"content":"hi"`, 1)), []string{"stop"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stream := translate.NewNativeStream(identity, translate.AnswerForm{Choices: 1})
			sent, err := stream.Write([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			got := string(sent)
			if got += string(stream.CutOff()); got != test.stream || !stream.Done() {
				t.Errorf("stream: done %v\ngot  %q\nwant %q", stream.Done(), got, test.stream)
			}
			whole := translate.NewNativeWhole(identity, translate.AnswerForm{Choices: 1})
			if _, err := whole.Write([]byte(test.in)); err != nil {
				t.Fatal(err)
			}
			if got := string(whole.CutOff()); got != test.whole || !whole.Done() {
				t.Errorf("whole: done %v\ngot  %s\nwant %s", whole.Done(), got, test.whole)
			}
			for _, summary := range []translate.Summary{stream.Summary(), whole.Summary()} {
				if !slices.Equal(summary.FinishReasons, test.finished) {
					t.Errorf("summary %+v", summary)
				}
			}
			if more := string(stream.Heartbeat()) + string(stream.CutOff()); more != "" {
				t.Errorf("after the end comes %q", more)
			}
		})
	}
}

func TestNativeHeartbeats(t *testing.T) {
	const beat = `{"model":"m","created_at":"2023-11-14T22:13:20Z","message":{"role":"assistant","content":""},"done":false}` + "\n"
	const textBeat = `{"model":"m","created_at":"2023-11-14T22:13:20Z","response":"","done":false}` + "\n"
	for _, test := range []struct {
		name       string
		form       translate.AnswerForm
		beat, line string
		end        string
	}{
		{"a chat's are lines without a word", translate.AnswerForm{Choices: 1}, beat, saidHi, isDone},
		{"a text's are too", generates, textBeat, wrote, written},
	} {
		t.Run(test.name, func(t *testing.T) {
			stream := translate.NewNativeStream(identity, test.form)
			sent := string(stream.Heartbeat())
			sent += string(stream.Heartbeat())
			for _, piece := range []string{quiet, test.line[:9], test.line[9:], test.end} {
				lines, err := stream.Write([]byte(piece))
				if err != nil {
					t.Fatal(err)
				}
				sent += string(lines)
				sent += string(stream.Heartbeat()) // none after the end
			}
			if want := test.beat + test.beat + test.beat + test.beat + test.line + test.beat + test.end; sent != want {
				t.Errorf("got  %q\nwant %q", sent, want)
			}
			if summary := stream.Summary(); !summary.Counted {
				t.Errorf("summary %+v", summary)
			}
		})
	}
	t.Run("a whole answer's are blanks before it", func(t *testing.T) {
		whole := translate.NewNativeWhole(identity, translate.AnswerForm{Choices: 1})
		beats := string(whole.Heartbeat()) + string(whole.Heartbeat())
		_, _ = whole.Write([]byte(saidHi + isDone))
		body, err := whole.CloseChoice()
		if err != nil || beats == "" || json.Unmarshal([]byte(beats+string(body)), new(map[string]any)) != nil {
			t.Errorf("%v: %q", err, beats+string(body))
		}
	})
}
