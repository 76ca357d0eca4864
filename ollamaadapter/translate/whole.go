package translate

import (
	"slices"
	"strconv"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// maxWhole bounds what is read for an answer that is not streamed, in bytes.
const maxWhole = 64 << 20

// Whole gathers Ollama's answer, which comes in lines, for a client that wants no
// stream. It is used as a Stream is; all of it comes with the last CloseChoice.
type Whole struct {
	reader
	id     Identity
	size   int
	answer []byte // up to the last choice that has finished; nil: there is none yet

	// of the choice that is being read
	content, thinking gathered
	toolCalls         []openai.AnswerToolCall
	probabilities     []ollama.Logprob
}

// NewWhole returns an answer without choices yet.
func NewWhole(id Identity, form AnswerForm) *Whole {
	w := &Whole{id: id}
	w.reader = reader{form: form, to: w}
	return w
}

// Write takes the next piece of Ollama's answer.
func (w *Whole) Write(piece []byte) ([]byte, error) {
	if w.size += len(piece); w.size > maxWhole {
		w.failed = ErrGarbage
	}
	return nil, w.read(piece)
}

// CloseChoice says that Ollama's answer for this choice has ended, and returns the
// whole answer if it was the last.
func (w *Whole) CloseChoice() ([]byte, error) {
	if w.Done() {
		return nil, w.failed
	}
	if err := w.closeChoice(); err != nil || !w.Done() {
		return nil, err
	}
	return w.json(), nil
}

// Sent does nothing: what was returned is the caller's.
func (w *Whole) Sent() {}

// CutOff ends the answer as it is, for lack of time, and returns it.
func (w *Whole) CutOff() []byte {
	w.cutOff()
	return w.json()
}

// Heartbeat is what JSON allows before an object.
func (w *Whole) Heartbeat() []byte { return []byte("\n") }

// Failure is nothing: once a part of the answer is out, it cannot be told any more.
func (w *Whole) Failure(*openai.Error) []byte { return nil }

// json is the answer with the choices so far.
func (w *Whole) json() []byte {
	if w.answer == nil {
		w.open(0)
	}
	out := append(w.answer, `],"usage":`...)
	out = w.summary.appendUsage(out)
	return append(out, '}')
}

// open begins the answer, with room for choices of so many bytes.
func (w *Whole) open(size int) {
	object := "chat.completion"
	if w.form.Text {
		object = "text_completion"
	}
	w.id.learn(w.fingerprint)
	const around = 512 // what is before the choices and behind them
	w.answer = w.id.open(make([]byte, 0, size+around), object)
}

// next makes room for a choice of so many bytes.
func (w *Whole) next(size int) {
	if w.answer == nil {
		w.open(size)
		return
	}
	w.answer = append(slices.Grow(w.answer, size+1), ',')
}

func (w *Whole) begin() {
	w.content, w.thinking = gathered{}, gathered{}
	w.toolCalls, w.probabilities = nil, nil
}

func (w *Whole) add(resp *ollama.ChatResponse, _ []byte) {
	w.content.add(resp.Message.Content)
	w.thinking.add(resp.Message.Thinking)
	w.toolCalls = append(w.toolCalls, answeredCalls(resp.Message.ToolCalls, 0, false)...)
	if w.form.Logprobs {
		w.probabilities = append(w.probabilities, resp.Logprobs...)
	}
}

func (w *Whole) addPlain(p plain) {
	w.content.addEscaped(p.content)
	w.thinking.addEscaped(p.thinking)
}

func (w *Whole) finish(reason string, _ bool) {
	if w.form.Text {
		choice := eventJSON(w.textChoice(reason))
		w.next(len(choice))
		w.answer = append(w.answer, choice...)
		return
	}
	w.next(len(w.content.json) + 2*len(w.thinking.json) + 256) // with what is around them
	w.answer = w.appendChoice(w.answer, reason)
}

// appendChoice appends the choice that was read, an openai.Choice, to out. Most of them
// say nothing but a text, which is JSON already.
func (w *Whole) appendChoice(out []byte, reason string) []byte {
	out = strconv.AppendInt(append(out, `{"index":`...), int64(w.choice), 10)
	out = append(out, `,"message":{"role":"assistant","content":`...)
	if w.content.empty() && len(w.toolCalls) > 0 {
		out = append(out, "null"...)
	} else {
		out = append(out, w.content.value()...)
	}
	out = append(out, `,"refusal":null`...)
	if !w.thinking.empty() {
		reasoning, content := split(w.form.Reasoning, w.thinking.value())
		out = appendField(out, "reasoning", reasoning)
		out = appendField(out, "reasoning_content", content)
	}
	if len(w.toolCalls) > 0 {
		out = appendField(out, "tool_calls", eventJSON(w.toolCalls))
	}
	out = append(out, `},"logprobs":`...)
	if w.form.Logprobs {
		out = append(out, eventJSON(logprobs(w.probabilities))...)
	} else {
		out = append(out, "null"...)
	}
	out = append(out, `,"finish_reason":"`...)
	out = append(out, reason...)
	return append(out, `"}`...)
}

// appendField appends a field that is not an object's first, if it has a value.
func appendField(out []byte, name string, value []byte) []byte {
	if value == nil {
		return out
	}
	out = append(out, `,"`...)
	out = append(out, name...)
	out = append(out, `":`...)
	return append(out, value...)
}
