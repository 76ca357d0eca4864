package translate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// The two forms of a line whose text is copied and not decoded.
var plainForms = map[string]struct {
	form          translate.AnswerForm
	before, after string
}{
	"chat": {translate.AnswerForm{Choices: 1}, `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"`, `"},"done":false`},
	"text": {translate.AnswerForm{Choices: 1, Text: true}, `{"model":"m","created_at":"2026-01-01T00:00:00Z","response":"`, `","done":false`},
}

// texts is what a client reads out of a stream whose second line has a text that is
// escaped so; ending tells whether that line is in the plain form.
func plainText(t *testing.T, kind, escaped, ending string) (text, events string, s translate.Summary, err error) {
	t.Helper()
	p := plainForms[kind]
	stream := translate.NewStream(identity, p.form)
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
				Delta struct{ Content string }
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
			text += choice.Text + choice.Delta.Content
		}
	}
	return text, events, stream.Summary(), err
}

func TestALineIsReadAlikeWhetherItIsCopiedOrDecoded(t *testing.T) {
	for _, escaped := range []string{
		` word`, `你好`, `👋`, `\"quoted\"`, `a\\b\/c\b\f\n\r\t`, `\u003cb\u003e`, `\u00e9`, `\ud83d\udc4b`, `\u2028`, "\u2028\u2029",
		`\ud83d`, `\udc4b\ud83d`, `\D800`, `\uD800`, `\x`, `\u12`, `\u12g4`, `\`, `"`, "\x00", "\x1f", "\x7f", "\xff", "h\xc3", "\xed\xa0\x80",
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
		f.Add(escaped, true)
		f.Add(escaped, false)
	}
	f.Fuzz(func(t *testing.T, escaped string, chat bool) {
		if strings.Contains(escaped, "\n") {
			return // two lines
		}
		kind := "text"
		if chat {
			kind = "chat"
		}
		alike(t, kind, escaped)
	})
}
