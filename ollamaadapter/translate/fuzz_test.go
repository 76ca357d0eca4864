package translate_test

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// FuzzStream: whatever an upstream sends, and wherever the network cuts it, the
// events are well-formed, the stream ends once, and the cuts make no difference.
func FuzzStream(f *testing.F) {
	for i, script := range scripts {
		f.Add([]byte(script.in), uint64(i), i%2 == 0)
	}
	f.Add([]byte(`{"message":{"tool_calls":[{"function":{"name":"f","arguments":[1]}},{}]},"done":true}`), uint64(3), true)
	f.Add([]byte("{\"done\":true,\"done\":false}\n{\"error\":{\"message\":\"x\"}}\n"), uint64(4), false)
	f.Add([]byte("null\n[]\n\"\"\n0\n"), uint64(5), true)
	f.Add([]byte(`{"message":{"content":"\ud800\u0000"},"eval_count":-1,"done":true}`), uint64(6), true)
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, includeUsage bool) {
		whole, stream, err := feed(includeUsage, string(data))
		endedOnce(t, whole, stream, err)
		pieces := cut(string(data), rand.New(rand.NewPCG(seed, 0)))
		inPieces, stream, errInPieces := feed(includeUsage, pieces...)
		endedOnce(t, inPieces, stream, errInPieces)
		if mask(inPieces) != mask(whole) || errInPieces != err {
			t.Errorf("in one piece:\n%s, error %v\ncut as %q:\n%s, error %v", whole, err, pieces, inPieces, errInPieces)
		}
	})
}

// mask hides what is drawn anew for each answer.
func mask(events string) string { return madeUp.ReplaceAllString(events, "ID") }

// FuzzReader: whatever an upstream sends, wherever the network cuts it, and however
// many heartbeats come between, each form of the answer has one end, and clients of
// all forms read the same.
func FuzzReader(f *testing.F) {
	for i, script := range scripts {
		f.Add([]byte(script.in), uint64(i), uint8(i))
		f.Add([]byte(script.in), uint64(i), uint8(0))
	}
	for i, data := range []string{
		word + word + word + final,
		`{"response":"a","thinking":"t"}` + "\n" + `{"model":"m","created_at":"","response":"b","done":false}` + "\n" + `{"response":"c","done":true,"context":[1,2]}`,
		`{"message":{"content":"a","tool_calls":[{"function":{"name":"f"}},null]},"logprobs":[{"token":"a","x":1}],"done":true}`,
		`{"message":null,"done":true}`, `{"done":true,"message":{"role":"x","content":"a","images":["b"]}}`,
		"{\"message\":{\"content\":\"h\xc3\"}}\n{\"done\":true}", `{"error":"x","done":true}`, "null\n[]\n0", "{}\n\n\r\n{}", `{"done":true}{"done":true}`,
		`{"message":{"content":"\ud800\u0000"},"eval_count":-1,"done":true}`, "\u00a0{\"done\":true}\u2028\n",
	} {
		f.Add([]byte(data), uint64(i), uint8(0))
		f.Add([]byte(data), uint64(i), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, limit uint8) {
		asked := translate.AnswerForm{Choices: 1, Text: generated(data), MaxTokens: int(limit % 8)}
		random := rand.New(rand.NewPCG(seed, 0))
		var first outcome
		var firstErr error
		for i, form := range forms {
			out, err := brought(t, form.make(asked), []string{string(data)}, nil)
			pieces := cut(string(data), random)
			inPieces, errInPieces := brought(t, form.make(asked), pieces, random)
			if form.silenced(inPieces, asked) != form.silenced(out, asked) || errInPieces != err {
				t.Errorf("%s in one piece:\n%s, error %v\ncut as %q, with heartbeats:\n%s, error %v", form.name, out, err, pieces, inPieces, errInPieces)
			}
			if i == 0 {
				firstErr = err
			}
			if err != firstErr {
				t.Errorf("%s: error %v, of a stream it is %v", form.name, err, firstErr)
			}
			if err != nil {
				continue
			}
			got := form.read(t, inPieces, asked.Text, tolerant)
			if i == 0 {
				first = got
			}
			// an object that has a name twice may be read in two ways
			if !same(got, first, asked.Text) && !twice(data) {
				t.Errorf("%s: %+v\nof a stream: %+v", form.name, got, first)
			}
		}
	})
}

// tolerant reads JSON as this package does.
func tolerant(data []byte, v any) error {
	return json.Unmarshal(data, v, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// generated reports whether there is a line of the form of /api/generate.
func generated(data []byte) bool {
	for line := range bytes.Lines(data) {
		var resp ollama.ChatResponse
		if tolerant(bytes.TrimSpace(line), &resp) == nil && (resp.Response != "" || resp.Thinking != "") {
			return true
		}
	}
	return false
}

// twice reports whether an object in a line has a name twice.
func twice(data []byte) bool {
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if tolerant(line, new(any)) == nil && !jsontext.Value(line).IsValid(jsontext.AllowInvalidUTF8(true)) {
			return true
		}
	}
	return false
}

// FuzzText: what a client reads is what Ollama wrote, as another JSON decoder reads
// it, in whatever lines and spelling it came.
func FuzzText(f *testing.F) {
	for i, text := range []string{
		"", "hello world", "grüße 世界 👋🏽\u2028\u2029\r\n\t\x00\x7f\"\\/", "\xff\xed\xa0\x80\xf0\x9f", "data: [DONE]\n\n", `","done":true}`, "\ue000\ufffd\ufeff",
		strings.Repeat("long ", 100), strings.Repeat("a\u2028", 50), strings.Repeat("a\xff", 50),
	} {
		f.Add(text, uint64(i))
		f.Add(text, uint64(i+100))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		asked := translate.AnswerForm{Choices: 1, Text: random.IntN(2) == 0}
		lines := ollamaLines(random, text, asked.Text)
		var want outcome
		for line := range strings.Lines(lines) {
			var resp ollama.ChatResponse
			if strings.TrimSpace(line) == "" {
				continue
			}
			if err := stdjson.Unmarshal([]byte(line), &resp); err != nil {
				t.Fatalf("%v: %q", err, line)
			}
			want.add(&resp)
		}
		for _, form := range forms {
			pieces := cut(lines, random)
			out, err := brought(t, form.make(asked), pieces, random)
			if err != nil {
				t.Fatalf("%s: %v of %q", form.name, err, pieces)
			}
			if got := form.read(t, out, asked.Text, stdjson.Unmarshal); !same(got, want, asked.Text) {
				t.Errorf("%s: read  %+v\nwritten %+v\nof %q", form.name, got, want, pieces)
			}
		}
	})
}

// ollamaLines writes a text as lines of Ollama's, in a spelling that is drawn at random.
func ollamaLines(random *rand.Rand, text string, generate bool) string {
	var lines strings.Builder
	say := func(name, piece, rest string) {
		fields := []string{`"model":"m"`}
		if random.IntN(4) == 0 {
			fields = append(fields, `"remote_model":"r"`, `"remote_host":"https://example.com:443"`)
		}
		if random.IntN(3) > 0 {
			fields = append(fields, `"created_at":"2026-01-01T00:00:00Z"`)
		}
		nothing := "" // before the thinking
		if name == "thinking" && random.IntN(2) == 0 {
			nothing = map[bool]string{true: `"response":"",`, false: `"content":"",`}[generate]
		}
		if generate {
			name = map[string]string{"content": "response"}[name] + map[string]string{"thinking": "thinking"}[name]
			fields = append(fields, nothing+`"`+name+`":`+spelled(random, piece))
		} else {
			fields = append(fields, `"message":{"role":"assistant",`+nothing+`"`+name+`":`+spelled(random, piece)+`}`)
		}
		if random.IntN(4) == 0 {
			fields = append(fields, `"later":{"done":[true,"`+name+`"]}`)
		}
		separator, end := ",", "\n"
		if random.IntN(4) == 0 {
			separator = " ,\t"
		}
		if random.IntN(4) == 0 {
			end = "\r\n\n"
		}
		lines.WriteString("{" + strings.Join(append(fields, rest), separator) + "}" + end)
	}
	for text != "" {
		n := 1 + random.IntN(min(len(text), 40))
		name := "content"
		if random.IntN(4) == 0 {
			name = "thinking"
		}
		say(name, text[:n], `"done":false`)
		text = text[n:]
	}
	say("content", "", `"done":true,"done_reason":"`+[]string{"stop", "length", "load"}[random.IntN(3)]+`"`)
	if random.IntN(3) == 0 {
		return strings.TrimSpace(lines.String())
	}
	return lines.String()
}

// spelled writes a JSON string, of whose characters some are escaped though they need
// not be. Bytes that are no UTF-8 stay as they are, or become what is no UTF-16.
func spelled(random *rand.Rand, text string) string {
	out := []byte{'"'}
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		short := strings.IndexRune("\"\\/\b\f\n\r\t", r)
		switch {
		case short >= 0 && random.IntN(3) > 0:
			out = append(out, '\\', `"\/bfnrt`[short])
		case r == utf8.RuneError && size == 1 && random.IntN(2) == 0:
			out = fmt.Appendf(out, `\ud8%02x`, text[i]) // half a surrogate pair
		case r == utf8.RuneError && size == 1:
			out = append(out, text[i])
		case r < ' ', r == '"', r == '\\', random.IntN(5) == 0:
			format := []string{`\u%04x`, `\u%04X`}[random.IntN(2)]
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, format, unit)
			}
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return string(append(out, '"'))
}

// knownParam is the form of the params that errors may name: fields of ours, in
// lower case, and indexes.
var knownParam = regexp.MustCompile(`^([a-z_]+(\[[0-9]+\])*(\.[a-z_]+(\[[0-9]+\])*)*)?$`)

// FuzzDecodeChat: whatever a client sends either becomes JSON for Ollama or is
// refused with an error that a client can read.
func FuzzDecodeChat(f *testing.F) {
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"model":5}`, `{"model":"m","messages":null}`,
		asking(``), asking(`"stream":true,"stream_options":{"include_usage":true},"stop":["a"],"seed":1,"max_tokens":3,"temperature":1e0`),
		asking(`"tools":[{"type":"function","function":{"name":"f","parameters":{"a":[{}]}}}],"tool_choice":"auto"`),
		asking(`"response_format":{"type":"json_schema","json_schema":{"schema":{}}},"reasoning_effort":"none"`),
		asking(`"metadata":{"conversation_id":"c"},"n":2,"logit_bias":{"1":2},"audio":{},"functions":[null]`),
		talk(`{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"\ud83d\udc4b"},{"type":"image_url","image_url":"data:image/png;base64,AAAA"}]}`),
		talk(`{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}`),
		talk(`{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":\"\u2028\\ud800\"}"}}]}`),
	} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, mergeSystem bool) {
		req, err := translate.DecodeChat(body)
		if err == nil {
			settings := translate.Settings{Model: "m", MergeSystem: mergeSystem, Features: ollama.Newest,
				Rules: policy.Rules{Defaults: map[string]any{"temperature": 0.7}}}
			out, errOut := exchange(req, settings)
			if err = errOut; err == nil {
				if one := sent(t, out.Requests[0]); len(one.Messages) == 0 || one.Model == "" {
					t.Fatalf("%+v would make Ollama load a model and say nothing", one)
				}
				return
			}
		}
		e, ok := errors.AsType[*openai.Error](err)
		if !ok {
			t.Fatalf("%T: %v", err, err)
		}
		if e.Message == "" || e.Type != openai.TypeInvalidRequest || !knownParam.MatchString(e.Param) || !jsontext.Value(e.JSON()).IsValid() {
			t.Fatalf("%s", e.JSON())
		}
	})
}

// FuzzWhole: whatever an upstream answers either becomes JSON that an SDK can read,
// with a finish reason for each choice, or is one of the errors.
func FuzzWhole(f *testing.F) {
	for _, body := range []string{
		``, `null`, `{"done":true}`, `{"error":"x"}`, `{"response":"hi","thinking":"hm","done":true,"done_reason":"length"}`,
		`{"message":{"content":"hi","tool_calls":[{"function":{"name":"f","arguments":{"a":"\u2028"}}}]},"done":true,"eval_count":1}`,
		`{"message":{"content":"{\"name\":\"f\",\"arguments\":{}}"},"logprobs":[{"token":"x"}],"done":true}`,
	} {
		f.Add([]byte(body), true, false)
		f.Add([]byte(body), false, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, forced, text bool) {
		whole := translate.NewWhole(identity, translate.AnswerForm{Choices: 1, ForcedCall: forced, Text: text, Logprobs: true})
		if err := add(whole, body); err != nil {
			if !errors.Is(err, translate.ErrCutShort) && !errors.Is(err, translate.ErrGarbage) && !errors.Is(err, translate.ErrUpstream) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if data := whole.JSON(); !jsontext.Value(data).IsValid() || !bytes.Contains(data, []byte(`"finish_reason":"`)) {
			t.Fatalf("%s", data)
		}
	})
}
