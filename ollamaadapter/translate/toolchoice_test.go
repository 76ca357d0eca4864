package translate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

const twoTools = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}},{"type":"function","function":{"name":"g"}}]`

func TestToolChoice(t *testing.T) {
	const (
		callF = `{"type":"object","properties":{"name":{"type":"string","enum":["f"]},"arguments":{"type":"object","properties":{"a":{"type":"string"}}}},"required":["name","arguments"]}`
		callG = `{"type":"object","properties":{"name":{"type":"string","enum":["g"]},"arguments":{"type":"object","properties":{}}},"required":["name","arguments"]}`
	)
	for _, test := range []struct{ name, choice, tools, format string }{
		{"auto passes the tools on", `"auto"`, `f g`, ``},
		{"none keeps them back", `"none"`, ``, ``},
		{"required holds the model to a call of one of them", `"required"`, ``, `{"anyOf":[` + callF + `,` + callG + `]}`},
		{"a named one holds it to that", `{"type":"function","function":{"name":"g"}}`, ``, callG},
		{"some of them, if it likes", `{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}`, `f`, ``},
		{"one of some of them", `{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}}`, ``, callF},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := native(t, asking(`"tool_choice":`+test.choice+`,`+twoTools), translate.Settings{})
			var names []string
			for _, name := range []string{"f", "g"} {
				if _, tools, found := strings.Cut(got, `"tools":`); found && strings.Contains(tools, `"name":"`+name+`"`) {
					names = append(names, name)
				}
			}
			if strings.Join(names, " ") != test.tools {
				t.Errorf("the tools are %q, want %q: %s", names, test.tools, got)
			}
			if test.format == "" && strings.Contains(got, `"format"`) || !strings.Contains(got, test.format) {
				t.Errorf("the format is not %s: %s", test.format, got)
			}
			if told := strings.Contains(got, "Answer with a call of one of these functions"); told != (test.format != "") {
				t.Errorf("the model is told what to call: %t: %s", told, got)
			}
		})
	}
}

// The error counts the tools as the client does, not those that are left.
func TestASchemaTooLargeIsNamedByItsPlace(t *testing.T) {
	const bomb = `{"type":"object","properties":{"p":{"$ref":"#/$defs/a0"}},"$defs":{%s"a20":{"type":"string"}}}`
	var defs strings.Builder
	for i := range 20 {
		ref := fmt.Sprintf(`{"$ref":"#/$defs/a%d"}`, i+1)
		fmt.Fprintf(&defs, `"a%d":{"properties":{"x":%s,"y":%s}},`, i, ref, ref)
	}
	body := asking(`"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g","parameters":` + fmt.Sprintf(bomb, defs.String()) +
		`}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"g"}}]}}`)
	req, err := translate.DecodeChat([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	_, err = exchange(req, complete(translate.Settings{}, req))
	if e := openaiError(t, err); e.Param != "tools[1].function.parameters" {
		t.Errorf("param %q: %s", e.Param, e.Message)
	}
}

func TestForcedCallIsToldWhereTheModelLooks(t *testing.T) {
	forced := `"tool_choice":"required",` + twoTools
	for _, test := range []struct{ name, messages, want string }{
		{"in the system message, if there is one", `{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}`, `"content":"Be brief.\n\nAnswer with`},
		{"else in the last user message, which displaces no system message of the model's own", `{"role":"user","content":"hi"},{"role":"assistant","content":"hm"}`, `"content":"hi\n\nAnswer with`},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := `{"model":"m","messages":[` + test.messages + `],` + forced + `}`
			if got := native(t, body, translate.Settings{}); !strings.Contains(got, test.want) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestForcedCallBecomesAToolCall(t *testing.T) {
	const call = `{\"name\": \"f\", \"arguments\": {\"z\": 1, \"a\": 2}}`
	whole := translate.NewWhole(identity, translate.AnswerForm{Choices: 1, ForcedCall: true})
	if err := add(whole, []byte(`{"message":{"content":"`+call+`"},"done":true,"done_reason":"stop"}`)); err != nil {
		t.Fatal(err)
	}
	choice := whole.Completion().(*openai.Completion).Choices[0]
	if len(choice.Message.ToolCalls) != 1 || choice.FinishReason != "tool_calls" || choice.Message.Content != nil {
		t.Fatalf("became %+v", choice)
	}
	if f := choice.Message.ToolCalls[0].Function; f.Name != "f" || f.Arguments != `{"z": 1, "a": 2}` {
		t.Errorf("calls %+v", f)
	}

	stream := translate.NewStream(identity, translate.AnswerForm{Choices: 1, ForcedCall: true})
	var events strings.Builder
	for _, line := range []string{
		`{"message":{"thinking":"hm"},"done":false}`,
		`{"message":{"content":"{\"name\": \"f\","},"done":false}`,
		`{"message":{"content":" \"arguments\": {}}"},"done":false}`,
		`{"message":{"content":""},"done":true,"done_reason":"stop"}`,
	} {
		out, err := stream.Write([]byte(line + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		events.Write(out)
	}
	want := []string{
		"role", `{"reasoning":"hm","reasoning_content":"hm"}`,
		`{"tool_calls":[{"index":0,"id":"ID","type":"function","function":{"name":"f","arguments":"{}"}}]}`, "finish tool_calls", "[DONE]",
	}
	if got := story(t, events.String()); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestForcedCallThatIsNone(t *testing.T) {
	form := translate.AnswerForm{Choices: 1, ForcedCall: true}
	t.Run("cut off by the limit it finishes for length", func(t *testing.T) {
		whole := translate.NewWhole(identity, form)
		if err := add(whole, []byte(`{"message":{"content":"{\"name\": \"f"},"done":true,"done_reason":"length"}`)); err != nil {
			t.Fatal(err)
		}
		if c := whole.Completion().(*openai.Completion).Choices[0]; c.FinishReason != "length" || len(c.Message.ToolCalls) > 0 {
			t.Errorf("became %+v", c)
		}
	})
	t.Run("otherwise it is the upstream's fault", func(t *testing.T) {
		whole := translate.NewWhole(identity, form)
		if err := add(whole, []byte(`{"message":{"content":"no"},"done":true,"done_reason":"stop"}`)); !errors.Is(err, translate.ErrGarbage) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestOneCallAtATime(t *testing.T) {
	const two = `"tool_calls":[{"function":{"name":"f","arguments":{}}},{"function":{"name":"g","arguments":{}}}]`
	form := translate.AnswerForm{Choices: 1, OneCall: true}
	whole := translate.NewWhole(identity, form)
	if err := add(whole, []byte(`{"message":{`+two+`},"done":true,"done_reason":"stop"}`)); err != nil {
		t.Fatal(err)
	}
	if calls := whole.Completion().(*openai.Completion).Choices[0].Message.ToolCalls; len(calls) != 1 || calls[0].Function.Name != "f" {
		t.Errorf("calls %+v", calls)
	}
	stream := translate.NewStream(identity, form)
	line := `{"message":{` + two + `},"done":false}` + "\n"
	out, err := stream.Write([]byte(line + line + `{"done":true,"done_reason":"stop"}` + "\n"))
	if err != nil || strings.Count(string(out), `"name":`) != 1 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSeveralChoices(t *testing.T) {
	const final = `"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}`
	form := translate.AnswerForm{Choices: 2, IncludeUsage: true}
	whole := translate.NewWhole(identity, form)
	stream := translate.NewStream(identity, form)
	var events strings.Builder
	for _, text := range []string{"one", "two"} {
		body := `{"message":{"content":"` + text + `"},` + final
		if err := add(whole, []byte(body)); err != nil {
			t.Fatal(err)
		}
		out, err := stream.Write([]byte(body + "\n"))
		events.Write(out)
		if _, errClose := stream.CloseChoice(); err != nil || errClose != nil {
			t.Fatal(err, errClose)
		}
	}
	completion := whole.Completion().(*openai.Completion)
	for i, c := range completion.Choices {
		if c.Index != i || *c.Message.Content != []string{"one", "two"}[i] {
			t.Errorf("choice %d is %+v", i, c)
		}
	}
	if want := (openai.Usage{PromptTokens: 6, CompletionTokens: 4, TotalTokens: 10}); *completion.Usage != want {
		t.Errorf("usage %+v, want %+v", *completion.Usage, want)
	}
	if !stream.Done() || strings.Count(events.String(), "[DONE]") != 1 || strings.Count(events.String(), `"index":1,"delta":{"content":"two"}`) != 1 {
		t.Errorf("done %t: %s", stream.Done(), events.String())
	}
	if !strings.Contains(events.String(), `"usage":{"prompt_tokens":6,"completion_tokens":4,"total_tokens":10}`) {
		t.Errorf("the usage is not the sum: %s", events.String())
	}
}

func TestReasoningFields(t *testing.T) {
	for _, test := range []struct {
		name   string
		fields translate.ReasoningFields
		want   string
	}{
		{"both", translate.ReasoningBoth, `"reasoning":"hm","reasoning_content":"hm"`},
		{"one", translate.ReasoningContentOnly, `"reasoning_content":"hm"`},
		{"the other", translate.ReasoningOnly, `"reasoning":"hm"`},
		{"hidden", translate.ReasoningHidden, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, line := range []string{
				`{"message":{"thinking":"hm"}}` + "\n",
				plainForms["chat's thinking"].before + "hm" + plainForms["chat's thinking"].after + "}\n",
			} {
				form := translate.AnswerForm{Choices: 1, Reasoning: test.fields}
				stream := translate.NewStream(identity, form)
				out, err := stream.Write([]byte(line))
				if err != nil || !strings.Contains(string(out), `"delta":{`+test.want+`}`) && test.want != "" || strings.Contains(string(out), "hm") != (test.want != "") {
					t.Errorf("%v: %s", err, out)
				}
				whole := translate.NewWhole(identity, form)
				if _, err := whole.Write([]byte(line)); err != nil {
					t.Fatal(err)
				}
				if out := string(whole.CutOff()); !strings.Contains(out, strings.TrimSuffix(`"refusal":null,`+test.want, ",")+"}") {
					t.Errorf("a whole answer: %s", out)
				}
			}
		})
	}
}

func TestLogprobs(t *testing.T) {
	const in = `"logprobs":[{"token":"hi","logprob":-0.5,"bytes":[104,105],"top_logprobs":[{"token":"ho","logprob":-1}]},{"token":"!","logprob":-2}]`
	const want = `"logprobs":{"content":[{"token":"hi","logprob":-0.5,"bytes":[104,105],"top_logprobs":[{"token":"ho","logprob":-1,"bytes":null}]},{"token":"!","logprob":-2,"bytes":null,"top_logprobs":[]}],"refusal":null}`
	whole := translate.NewWhole(identity, translate.AnswerForm{Choices: 1, Logprobs: true})
	if err := add(whole, []byte(`{"message":{"content":"hi!"},`+in+`,"done":true}`)); err != nil {
		t.Fatal(err)
	}
	if data := string(whole.JSON()); !strings.Contains(data, want) {
		t.Error(data)
	}
	stream := translate.NewStream(identity, translate.AnswerForm{Choices: 1, Logprobs: true})
	if out, err := stream.Write([]byte(`{"message":{"content":""},` + in + `}` + "\n")); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("a line with probabilities and no text: %v: %s", err, out)
	}
}

func TestASecondChoiceThatBreaksOffMakesTheCountAnEstimate(t *testing.T) {
	stream := translate.NewStream(identity, translate.AnswerForm{Choices: 2})
	_, _ = stream.Write([]byte(hello + final))
	if !stream.Summary().Counted {
		t.Errorf("at the end of the first: %+v", stream.Summary())
	}
	if _, err := stream.CloseChoice(); err != nil {
		t.Fatalf("after the first: %v, %+v", err, stream.Summary())
	}
	_, _ = stream.Write([]byte(hello))
	if _, err := stream.CloseChoice(); !errors.Is(err, translate.ErrCutShort) {
		t.Fatal(err)
	}
	if s := stream.Summary(); s.Counted || s.CompletionTokens != 3 {
		t.Errorf("summary %+v", s)
	}
}

// What is held back for a forced call must be bounded: the model may never end it.
func TestForcedCallIsNotHeldBackWithoutBound(t *testing.T) {
	stream := translate.NewStream(identity, translate.AnswerForm{Choices: 1, ForcedCall: true})
	line := []byte(`{"message":{"content":"` + strings.Repeat("x", 1<<20) + `"}}` + "\n")
	for range 9 {
		if _, err := stream.Write(line); err != nil {
			if !errors.Is(err, translate.ErrGarbage) {
				t.Errorf("error is %v", err)
			}
			return
		}
	}
	t.Error("9 MB are held back, and no end of it")
}
