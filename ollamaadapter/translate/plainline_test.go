package translate_test

import (
	stdjson "encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// The forms of a line whose text is copied and not decoded.
var plainForms = map[string]struct {
	text          bool
	before, after string
}{
	"chat":              {false, `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"`, `"},"done":false`},
	"chat's thinking":   {false, `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"","thinking":"`, `"},"done":false`},
	"chat elsewhere":    {false, `{"model":"m","remote_model":"r","remote_host":"https://example.com:443","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"`, `"},"done":false`},
	"chat without time": {false, `{"model":"m","message":{"role":"assistant","content":"`, `"},"done":false`},
	"text":              {true, `{"model":"m","created_at":"2026-01-01T00:00:00Z","response":"`, `","done":false`},
	"text's thinking":   {true, `{"model":"m","created_at":"2026-01-01T00:00:00Z","response":"","thinking":"`, `","done":false`},
}

// plainText is what a client reads out of a stream whose second line has a text that is
// escaped so; ending tells whether that line is in the plain form.
func plainText(t *testing.T, kind, escaped, ending string) (text, events string, s translate.Summary, err error) {
	t.Helper()
	p := plainForms[kind]
	stream := translate.NewStream(identity, translate.AnswerForm{Choices: 1, Text: p.text})
	var sent strings.Builder
	for _, line := range []string{p.before + "a" + p.after + "}\n", p.before + escaped + p.after + ending + "\n"} {
		var out []byte
		if out, err = stream.Write([]byte(line)); err != nil {
			break
		}
		sent.Write(out)
	}
	events = sent.String()
	for _, event := range strings.Split(events, "\n\n") {
		var chunk struct {
			Choices []struct {
				Text  string
				Delta struct{ Content, Reasoning, Reasoning_content string }
			}
		}
		data, found := strings.CutPrefix(event, "data: ")
		if !found || data == "[DONE]" {
			continue
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		for _, choice := range chunk.Choices {
			text += choice.Text + choice.Delta.Content + choice.Delta.Reasoning
			if choice.Delta.Reasoning != choice.Delta.Reasoning_content {
				t.Errorf("the reasoning has two texts: %q", data)
			}
		}
	}
	return text, events, stream.Summary(), err
}

func TestALineIsReadAlikeWhetherItIsCopiedOrDecoded(t *testing.T) {
	for _, escaped := range []string{
		` word`, `你好`, `👋`, `\"quoted\"`, `a\\b\/c\b\f\n\r\t`, `\u003cb\u003e`, `\u00e9`, `\ud83d\udc4b`, `\u2028`, "\u2028\u2029",
		`\ud83d`, `\udc4b\ud83d`, `\D800`, `\uD800`, `\x`, `\u12`, `\u12g4`, `\`, `"`, "\x00", "\x01", "\x1f", "\x7f", "\xff", "h\xc3", "\xed\xa0\x80",
		`","x":"`, `"},"done":true,"x":{"y":"`, `</script>`, `data: x`, `\n\ndata: [DONE]\n\n`, ``, `   `,
	} {
		for kind := range plainForms {
			t.Run(kind+" "+escaped, func(t *testing.T) { alike(t, kind, escaped) })
		}
	}
}

// alike checks that a line says the same in the plain form and in another.
func alike(t *testing.T, kind, escaped string) {
	t.Helper()
	text, events, summary, err := plainText(t, kind, escaped, "}")
	decoded, _, decodedSummary, decodedErr := plainText(t, kind, escaped, " }") // by a blank it is not plain
	if text != decoded || !errors.Is(err, decodedErr) || summary.CompletionTokens != decodedSummary.CompletionTokens || summary.Model != decodedSummary.Model {
		t.Errorf("copied  %q, %v, %+v\ndecoded %q, %v, %+v", text, err, summary, decoded, decodedErr, decodedSummary)
	}
	if strings.ContainsAny(events, "\u2028\u2029\r") {
		t.Errorf("a line break of JavaScript's is in %q", events)
	}
	for _, event := range strings.SplitAfter(events, "\n\n") {
		if event != "" && (!strings.HasPrefix(event, "data: ") || strings.Count(event, "\n") != 2) {
			t.Errorf("event %q", event)
		}
	}
}

// FuzzPlainLine: whatever is between the quotes of a line's text, copying it and
// decoding it come to the same.
func FuzzPlainLine(f *testing.F) {
	for _, escaped := range []string{`a`, `\"`, `\ud83d\udc4b`, "\xe2\x80\xa8", `"},"done":true,"a":{"b":"`} {
		f.Add(escaped)
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		if strings.Contains(escaped, "\n") {
			return // two lines
		}
		for kind := range plainForms {
			alike(t, kind, escaped)
		}
	})
}

// What nearly all lines are must stay cheap, in every form of an answer.
func TestAPlainLineCostsNoMemory(t *testing.T) {
	for kind, p := range plainForms {
		line := []byte(p.before + `a\n\u003cb\u003e` + p.after + "}\n")
		for _, form := range forms {
			answer := form.make(translate.AnswerForm{Choices: 1, Text: p.text})
			if allocs := testing.AllocsPerRun(100, func() { _, _ = answer.Write(line) }); allocs > 0 {
				t.Errorf("%s, %s: %v allocations a line", form.name, kind, allocs)
			}
		}
	}
}

func TestTheFirstLineNamesTheModel(t *testing.T) {
	for _, test := range []struct{ name, first, second, want string }{
		{"as it is", "m:latest", "m:latest", "m:latest"},
		{"escaped", `m\u003a1`, `m\u003a1`, "m:1"},
		{"the later name is the better one", "a", "b", "b"},
		{"none, and then one", "", "b", "b"},
		{"one, and then none", "a", "", "a"},
	} {
		for _, form := range forms {
			t.Run(test.name+"/"+form.name, func(t *testing.T) {
				answer := form.make(translate.AnswerForm{Choices: 1})
				for _, model := range []string{test.first, test.second} {
					line := strings.Replace(plainForms["chat"].before, `"m"`, `"`+model+`"`, 1) + "a" + plainForms["chat"].after + "}\n"
					if _, err := answer.Write([]byte(line)); err != nil {
						t.Fatal(err)
					}
				}
				if got := answer.Summary().Model; got != test.want {
					t.Errorf("model %q, want %q", got, test.want)
				}
			})
		}
	}
}

// What more is said than one text has other ways.
func TestALineOfMoreThanAPlainTextIsDecoded(t *testing.T) {
	chat := func(fields, rest string) string {
		return `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant",` + fields + `},` + rest + "}\n"
	}
	const call = `{\"name\":\"f\",\"arguments\":{}}`
	for _, test := range []struct {
		name   string
		forced bool
		lines  string
		want   outcome
	}{
		{"text and thinking in one line", false, chat(`"content":"a","thinking":"b"`, `"done":false`) + final, outcome{content: "a", thinking: "b", finish: "stop"}},
		{"a last line with text", false, chat(`"content":"a"`, `"done":true,"done_reason":"stop"`), outcome{content: "a", finish: "stop"}},
		{"a last line with thinking", false, chat(`"content":"","thinking":"b"`, `"done":true,"done_reason":"stop"`), outcome{thinking: "b", finish: "stop"}},
		{"a last line with a call", false, chat(`"content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]`, `"done":true`), outcome{calls: []string{"f"}, finish: "tool_calls"}},
		{"a call in the form of a text", true, chat(`"content":"`+call[:20]+`"`, `"done":false`) + chat(`"content":"`+call[20:]+`"`, `"done":false`) + final, outcome{calls: []string{"f"}, finish: "tool_calls"}},
	} {
		for _, form := range forms {
			if test.forced && strings.HasPrefix(form.name, "Native") {
				continue // there no call is forced
			}
			asked := translate.AnswerForm{Choices: 1, ForcedCall: test.forced}
			out, err := brought(t, form.make(asked), []string{test.lines}, nil)
			if err != nil {
				t.Fatalf("%s, %s: %v", test.name, form.name, err)
			}
			if got := form.read(t, out, false, stdjson.Unmarshal); !same(got, test.want, false) {
				t.Errorf("%s, %s: read %+v of %s", test.name, form.name, got, out)
			}
		}
	}
}
