package translate_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// answer is what all forms of answers have in common, for tests of all of them.
type answer interface {
	Write(piece []byte) (out []byte, err error)
	CloseChoice() (out []byte, err error)
	CutOff() (out []byte)
	Heartbeat() (out []byte)
	Failure(*openai.Error) (out []byte)
	ChoiceDone() bool
	Stopped() bool
	Lines() int
	Summary() translate.Summary
}

// outcome is what a client reads out of an answer, whatever its form.
type outcome struct {
	content, thinking string
	calls             []string // names of the functions
	finish            string
}

// add adds what a line of Ollama's says.
func (o *outcome) add(resp *ollama.ChatResponse) {
	content, thinking := resp.Message.Content, resp.Message.Thinking
	if resp.Response != "" || resp.Thinking != "" {
		content, thinking = resp.Response, resp.Thinking
	}
	o.content += content
	o.thinking += thinking
	for _, call := range resp.Message.ToolCalls {
		o.calls = append(o.calls, call.Function.Name)
	}
	if resp.Done {
		o.finish = "stop"
		switch {
		case resp.DoneReason == "length":
			o.finish = "length"
		case len(o.calls) > 0:
			o.finish = "tool_calls"
		}
	}
}

// form is one of the forms that Ollama's lines can be turned into.
type form struct {
	name string
	make func(translate.AnswerForm) answer
	// beats are what its heartbeats look like; of a stream, the role may be one.
	beats func(translate.AnswerForm) []string
	// read reads an answer with a JSON decoder.
	read func(t testing.TB, out string, text bool, decode decoder) outcome
}

type decoder func(data []byte, v any) error

var forms = []form{
	{
		"Stream", func(f translate.AnswerForm) answer { return translate.NewStream(identity, f) },
		func(f translate.AnswerForm) []string {
			stream := translate.NewStream(identity, f)
			first := string(stream.Heartbeat()) // which the next overwrites
			return []string{first, string(stream.Heartbeat())}
		}, readStream,
	},
	{
		"Whole", func(f translate.AnswerForm) answer { return translate.NewWhole(identity, f) },
		func(translate.AnswerForm) []string { return []string{"\n"} }, readWhole,
	},
	{
		"NativeStream", func(f translate.AnswerForm) answer { return translate.NewNativeStream(identity, f) },
		func(f translate.AnswerForm) []string {
			return []string{string(translate.NewNativeStream(identity, f).Heartbeat())}
		}, readNativeStream,
	},
	{
		"NativeWhole", func(f translate.AnswerForm) answer { return translate.NewNativeWhole(identity, f) },
		func(translate.AnswerForm) []string { return []string{"\n"} }, readNativeWhole,
	},
}

// silenced is an answer without its heartbeats, and without what is drawn anew for
// each answer.
func (f form) silenced(out string, asked translate.AnswerForm) string {
	for _, beat := range f.beats(asked) {
		out = strings.ReplaceAll(out, beat, "")
	}
	return mask(out)
}

// brought gives an answer these pieces, with heartbeats between them if random is
// not nil, and returns all that it sends. It checks that the answer has one end, and
// sends nothing after it.
func brought(t testing.TB, a answer, pieces []string, random *rand.Rand) (out string, err error) {
	t.Helper()
	var sent strings.Builder
	beat := func() {
		for random != nil && random.IntN(3) == 0 {
			sent.Write(a.Heartbeat())
		}
	}
	for _, piece := range pieces {
		beat()
		more, errPiece := a.Write([]byte(piece))
		sent.Write(more)
		if err != nil && (errPiece != err || len(more) > 0) {
			t.Errorf("after %v: %q, %v", err, more, errPiece)
		}
		err = errPiece
	}
	if err == nil {
		beat()
	}
	last, errEnd := a.CloseChoice()
	sent.Write(last)
	if err != nil && errEnd != err {
		t.Errorf("%v becomes %v at the end", err, errEnd)
	}
	for range 2 {
		more, _ := a.Write([]byte(hello + final))
		end, errAgain := a.CloseChoice()
		if len(more)+len(end) > 0 || errAgain != errEnd {
			t.Errorf("after the end: %q, %q, %v", more, end, errAgain)
		}
	}
	return sent.String(), errEnd
}

// readStream reads events, of which one must finish the answer and one be the last.
func readStream(t testing.TB, out string, text bool, decode decoder) (o outcome) {
	t.Helper()
	body, ended := strings.CutSuffix(out, "data: [DONE]\n\n")
	if !ended {
		t.Errorf("no end: %q", out)
	}
	for event := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || strings.ContainsAny(data, "\r\n\u2028\u2029") || !jsontext.Value(data).IsValid() || o.finish != "" {
			t.Errorf("event %q", event)
		}
		var content, finish *string
		if text {
			var chunk openai.TextCompletion
			if err := decode([]byte(data), &chunk); err != nil || len(chunk.Choices) != 1 {
				t.Fatalf("event %q: %v", data, err)
			}
			content, finish = &chunk.Choices[0].Text, chunk.Choices[0].FinishReason
		} else {
			var chunk openai.Chunk
			if err := decode([]byte(data), &chunk); err != nil || len(chunk.Choices) != 1 {
				t.Fatalf("event %q: %v", data, err)
			}
			delta := chunk.Choices[0].Delta
			content, finish = delta.Content, chunk.Choices[0].FinishReason
			o.thinking += delta.ReasoningContent
			for _, call := range delta.ToolCalls {
				if *call.Index != len(o.calls) {
					t.Errorf("call %d has the number %d", len(o.calls), *call.Index)
				}
				o.calls = append(o.calls, call.Function.Name)
			}
		}
		if content != nil {
			o.content += *content
		}
		if finish != nil {
			o.finish = *finish
		}
	}
	return o
}

func readWhole(t testing.TB, out string, text bool, decode decoder) (o outcome) {
	t.Helper()
	if !jsontext.Value(out).IsValid() {
		t.Errorf("not valid to the strict: %q", out)
	}
	if text {
		var completion openai.TextCompletion
		if err := decode([]byte(out), &completion); err != nil || len(completion.Choices) != 1 {
			t.Fatalf("%v: %q", err, out)
		}
		return outcome{content: completion.Choices[0].Text, finish: *completion.Choices[0].FinishReason}
	}
	var completion openai.Completion
	if err := decode([]byte(out), &completion); err != nil || len(completion.Choices) != 1 {
		t.Fatalf("%v: %q", err, out)
	}
	message := completion.Choices[0].Message
	if message.Content != nil {
		o.content = *message.Content
	}
	for _, call := range message.ToolCalls {
		o.calls = append(o.calls, call.Function.Name)
	}
	o.thinking, o.finish = message.ReasoningContent, completion.Choices[0].FinishReason
	return o
}

func readNativeStream(t testing.TB, out string, _ bool, decode decoder) (o outcome) {
	t.Helper()
	for line := range strings.Lines(out) {
		var resp ollama.ChatResponse
		if err := decode([]byte(line), &resp); err != nil || !strings.HasSuffix(line, "\n") || o.finish != "" {
			t.Fatalf("line %q: %v", line, err)
		}
		o.add(&resp)
	}
	return o
}

func readNativeWhole(t testing.TB, out string, text bool, decode decoder) (o outcome) {
	t.Helper()
	var resp ollama.ChatResponse
	if err := decode([]byte(out), &resp); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	if text {
		resp.Message.Content, resp.Message.Thinking = "", ""
	}
	o.add(&resp)
	return o
}

// same reports whether clients of two forms read the same. A text has nothing but
// its content.
func same(a, b outcome, text bool) bool {
	if a.content != b.content || a.finish != b.finish {
		return false
	}
	return text || a.thinking == b.thinking && slices.Equal(a.calls, b.calls)
}

// Ollama's silence is counted from the last line that was whole.
func TestLinesCountWhenTheyAreWhole(t *testing.T) {
	for _, form := range forms {
		a := form.make(translate.AnswerForm{Choices: 1})
		for _, step := range []struct {
			piece string
			want  int
		}{{"", 0}, {"\n \r\n", 0}, {quiet, 1}, {hello[:9], 1}, {hello[9:], 2}, {word + "\n" + word, 4}, {final[:9], 4}, {final[9:] + hello, 5}} {
			if _, err := a.Write([]byte(step.piece)); err != nil || a.Lines() != step.want {
				t.Errorf("%s: %d lines after %q, want %d (%v)", form.name, a.Lines(), step.piece, step.want, err)
			}
		}
	}
}
