package translate_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// Most of an answer is written without its types: it must look as they do.
func TestAnswersHaveTheShapeOfTheirTypes(t *testing.T) {
	id := translate.Identity{ID: "chatcmpl-1", Created: 1_700_000_000, Model: "a \"model\"\u2028", Fingerprint: "fp_0123456789"}
	const (
		cached = `{"message":{"content":"b"},"done":true,"done_reason":"length","prompt_eval_count":9,"prompt_eval_cached_count":4,"eval_count":2}` + "\n"
		calls  = `{"message":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":{"a":1}}}]}}` + "\n"
		likely = `{"message":{"content":"a"},"logprobs":[{"token":"a","logprob":-0.5,"top_logprobs":[{"token":"b","logprob":-1}]}]}` + "\n"
	)
	thinks := plainForms["chat's thinking"].before + "hm" + plainForms["chat's thinking"].after + "}\n"
	for _, test := range []struct {
		name  string
		form  translate.AnswerForm
		lines string
	}{
		{"a text", translate.AnswerForm{}, word + final},
		{"nothing", translate.AnswerForm{}, final},
		{"what was cached", translate.AnswerForm{}, word + cached},
		{"a call", translate.AnswerForm{}, calls + final},
		{"a text and a call", translate.AnswerForm{}, word + calls + final},
		{"thinking", translate.AnswerForm{}, thinks + word + final},
		{"thinking in one field", translate.AnswerForm{Reasoning: translate.ReasoningContentOnly}, thinks + word + final},
		{"thinking in the other", translate.AnswerForm{Reasoning: translate.ReasoningOnly}, thinks + word + final},
		{"thinking hidden", translate.AnswerForm{Reasoning: translate.ReasoningHidden}, thinks + word + final},
		{"probabilities", translate.AnswerForm{Logprobs: true}, likely + final},
		{"no probabilities, though asked for", translate.AnswerForm{Logprobs: true}, word + final},
	} {
		for _, text := range []bool{false, true} {
			for _, choices := range []int{1, 2} {
				test.form.Text, test.form.Choices, test.form.IncludeUsage = text, choices, true
				if text {
					test.form.Echo = []string{"say ", "say "}
				}
				whole, stream := translate.NewWhole(id, test.form), translate.NewStream(id, test.form)
				var object, events strings.Builder
				for range choices {
					for a, sent := range map[answer]*strings.Builder{whole: &object, stream: &events} {
						out, err := a.Write([]byte(test.lines))
						sent.Write(out)
						if err != nil {
							t.Fatal(err)
						}
						out, err = a.CloseChoice()
						sent.Write(out)
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				if text {
					sameShape(t, test.name, object.String(), new(openai.TextCompletion))
				} else {
					sameShape(t, test.name, object.String(), new(openai.Completion))
				}
				for event := range strings.SplitSeq(strings.TrimSuffix(events.String(), "data: [DONE]\n\n"), "\n\n") {
					data, found := strings.CutPrefix(event, "data: ")
					switch {
					case !found:
					case text:
						sameShape(t, test.name, data, new(openai.TextCompletion))
					default:
						sameShape(t, test.name, data, new(openai.Chunk))
					}
				}
			}
		}
	}
}

// sameShape checks that data is what v would be.
func sameShape(t *testing.T, name, data string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(data), v, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("%s: %v: %s", name, err, data)
	}
	if want, err := json.Marshal(v, jsontext.EscapeForJS(true)); err != nil || string(want) != data {
		t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, data, want)
	}
}
