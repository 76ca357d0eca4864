package translate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// word is a line that says one word, in the form that most have.
const word = `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"w"},"done":false}` + "\n"

// An upstream that does not keep to num_predict (ollama#18575) must not cost more
// than was allowed.
func TestAnAnswerEndsWhenItHasItsTokens(t *testing.T) {
	const done = `{"model":"m","message":{"content":""},"done":true,"done_reason":"length","eval_count":3}` + "\n"
	for _, test := range []struct {
		name, in string
		limit    int
		want     []string
		stopped  bool
	}{
		{"as many as allowed, and Ollama ends it", word + word + done, 2, []string{"role", `{"content":"w"}`, `{"content":"w"}`, "finish length", "[DONE]"}, false},
		{"one too many is not shown", word + word + word, 2, []string{"role", `{"content":"w"}`, `{"content":"w"}`, "finish length", "[DONE]"}, true},
		{"thinking counts", `{"message":{"thinking":"hm"}}` + "\n" + word, 1,
			[]string{"role", `{"reasoning":"hm","reasoning_content":"hm"}`, "finish length", "[DONE]"}, true},
		{"without a limit it goes on", word + word, 0, []string{"role", `{"content":"w"}`, `{"content":"w"}`}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			stream := translate.NewStream(identity, translate.AnswerForm{Choices: 1, MaxTokens: test.limit})
			events, err := stream.Write([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := story(t, string(events)); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if stream.Stopped() != test.stopped {
				t.Errorf("stopped here: %v", stream.Stopped())
			}
			if test.stopped {
				if s := stream.Summary(); s.Counted || s.CompletionTokens != test.limit || !slices.Equal(s.FinishReasons, []string{"length"}) {
					t.Errorf("summary %+v", s)
				}
			}

			whole := translate.NewWhole(identity, translate.AnswerForm{Choices: 1, MaxTokens: test.limit})
			if _, err := whole.Write([]byte(test.in)); err != nil || whole.Stopped() != test.stopped {
				t.Errorf("whole: %v, stopped %v", err, whole.Stopped())
			}
			if test.stopped {
				if err := add(whole, nil); err != nil {
					t.Fatal(err)
				}
				if c := whole.Completion().(*openai.Completion).Choices[0]; c.FinishReason != "length" || strings.Count(*c.Message.Content, "w") > test.limit {
					t.Errorf("whole: %+v", c)
				}
			}
		})
	}
}

func TestAnAnswerCutOffIsCompleteInItsForm(t *testing.T) {
	form := translate.AnswerForm{Choices: 3, IncludeUsage: true}
	stream := translate.NewStream(identity, form)
	events, err := stream.Write([]byte(hello + final))
	if err != nil {
		t.Fatal(err)
	}
	sent := string(events)
	if _, err := stream.CloseChoice(); err != nil {
		t.Fatal(err)
	}
	events, _ = stream.Write([]byte(word))
	sent += string(events)
	sent += string(stream.CutOff())
	if finished := strings.Count(sent, `"finish_reason":"`); finished != 3 || !stream.Done() || !strings.HasSuffix(sent, "data: [DONE]\n\n") || strings.Count(sent, "[DONE]") != 1 {
		t.Errorf("%d choices are finished: %s", finished, sent)
	}
	if s := stream.Summary(); !slices.Equal(s.FinishReasons, []string{"stop", "length", "length"}) || s.Counted {
		t.Errorf("summary %+v", s)
	}

	whole := translate.NewWhole(identity, form)
	if err := add(whole, []byte(hello+final)); err != nil {
		t.Fatal(err)
	}
	_, _ = whole.Write([]byte(word))
	var completion openai.Completion
	if err := json.Unmarshal(whole.CutOff(), &completion); err != nil || len(completion.Choices) != 3 {
		t.Fatalf("%v: %+v", err, completion)
	}
	if c := completion.Choices; *c[1].Message.Content != "w" || c[1].FinishReason != "length" || *c[2].Message.Content != "" {
		t.Errorf("choices %+v", c)
	}
}

func TestHeartbeatsAreChunksThatSayNothing(t *testing.T) {
	for _, test := range []struct {
		name string
		form translate.AnswerForm
		want []string
	}{
		{"a chat's first is the role, which does not come twice", translate.AnswerForm{Choices: 1}, []string{"role", "{}", `{"content":"w"}`, "{}", "finish stop", "[DONE]"}},
		{"a text's are empty", translate.AnswerForm{Choices: 1, Text: true}, []string{"", "", "w", "", "finish stop", "[DONE]"}},
		{"a text's first is the echo of its prompt", translate.AnswerForm{Choices: 1, Text: true, Echo: []string{"p"}}, []string{"p", "", "w", "", "finish stop", "[DONE]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stream := translate.NewStream(identity, test.form)
			sent := string(stream.Heartbeat())
			sent += string(stream.Heartbeat())
			for _, line := range []string{word, `{"model":"m","done":true}` + "\n"} {
				out, err := stream.Write([]byte(line))
				if err != nil {
					t.Fatal(err)
				}
				sent += string(out)
				sent += string(stream.Heartbeat()) // none after the end
			}
			var got []string
			if test.form.Text {
				got = textStory(t, sent)
			} else {
				got = story(t, sent)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
	t.Run("a whole answer's is a blank before it", func(t *testing.T) {
		whole := translate.NewWhole(identity, translate.AnswerForm{Choices: 1})
		beat := string(whole.Heartbeat())
		_, _ = whole.Write([]byte(hello + final))
		body, err := whole.CloseChoice()
		if err != nil || json.Unmarshal([]byte(beat+string(body)), new(openai.Completion)) != nil {
			t.Errorf("%v: %q", err, beat+string(body))
		}
	})
}

// textStory is what a client of /v1/completions reads out of events.
func textStory(t *testing.T, events string) (out []string) {
	t.Helper()
	for _, event := range strings.Split(strings.TrimSuffix(events, "\n\n"), "\n\n") {
		data := strings.TrimPrefix(event, "data: ")
		if data == "[DONE]" {
			out = append(out, data)
			continue
		}
		var chunk openai.TextCompletion
		if err := json.Unmarshal([]byte(data), &chunk); err != nil || len(chunk.Choices) != 1 {
			t.Fatalf("%v: %q", err, data)
		}
		if reason := chunk.Choices[0].FinishReason; reason != nil {
			out = append(out, "finish "+*reason)
			continue
		}
		out = append(out, chunk.Choices[0].Text)
	}
	return out
}

func TestAWholeAnswerIsGatheredFromItsLines(t *testing.T) {
	const lines = `{"message":{"thinking":"h"}}
{"message":{"thinking":"m","content":"he"}}
{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}}
{"message":{"content":"llo","tool_calls":[{"function":{"name":"g"}}]}}
{"message":{"content":"!"},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":9}
`
	completion, summary, err := whole(lines)
	if err != nil {
		t.Fatal(err)
	}
	m := completion.Choices[0].Message
	if m.Reasoning != "hm" || *m.Content != "hello!" || len(m.ToolCalls) != 2 || m.ToolCalls[1].Function.Name != "g" || completion.Choices[0].FinishReason != "tool_calls" {
		t.Errorf("gathered %+v", completion.Choices[0])
	}
	if !summary.Counted || summary.CompletionTokens != 9 || completion.Usage.TotalTokens != 12 {
		t.Errorf("summary %+v", summary)
	}
}

func TestAChoiceOfAWholeAnswerHasNothingOfTheOneBefore(t *testing.T) {
	w := translate.NewWhole(identity, translate.AnswerForm{Choices: 2, Logprobs: true})
	for i, lines := range []string{
		`{"message":{"thinking":"hm","content":"a","tool_calls":[{"function":{"name":"f"}}]},"logprobs":[{"token":"a"}]}` + "\n" + final,
		final,
	} {
		if err := add(w, []byte(lines)); err != nil {
			t.Fatal(i, err)
		}
	}
	const want = `{"index":1,"message":{"role":"assistant","content":"","refusal":null},"logprobs":{"content":[],"refusal":null},"finish_reason":"stop"}]`
	if !strings.Contains(string(w.JSON()), want) {
		t.Errorf("%s\nlacks %s", w.JSON(), want)
	}
}
