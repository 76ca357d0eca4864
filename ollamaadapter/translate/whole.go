package translate

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// maxWhole bounds what is read for an answer that is not streamed, in bytes.
const maxWhole = 64 << 20

// Whole gathers Ollama's answer, which comes in lines, for a client that wants no
// stream. It is used as a Stream is; all of it comes with the last CloseChoice.
type Whole struct {
	reader
	completion openai.Completion
	logprobs   [][]ollama.Logprob
	size       int

	// of the choice that is being read
	content, thinking gathered
	toolCalls         []openai.AnswerToolCall
	probabilities     []ollama.Logprob
}

// NewWhole returns an answer without choices yet.
func NewWhole(id Identity, form AnswerForm) *Whole {
	w := &Whole{completion: openai.Completion{
		ID: id.ID, Object: "chat.completion", Created: id.Created, Model: id.Model, SystemFingerprint: id.Fingerprint,
	}}
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

// CutOff ends the answer as it is, for lack of time, and returns it.
func (w *Whole) CutOff() []byte {
	w.cutOff()
	return w.json()
}

// Heartbeat is what JSON allows before an object.
func (w *Whole) Heartbeat() []byte { return []byte("\n") }

// Failure is nothing: once a part of the answer is out, it cannot be told any more.
func (w *Whole) Failure(*openai.Error) []byte { return nil }

func (w *Whole) json() []byte {
	data, err := json.Marshal(w.Completion(), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // plain structs always marshal
	}
	return data
}

// Completion is the answer with the choices so far: an *openai.Completion, or an
// *openai.TextCompletion if that was asked for.
func (w *Whole) Completion() any {
	w.completion.Usage = w.summary.usage()
	if w.form.Text {
		return w.text()
	}
	return &w.completion
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
	message := openai.AnswerMessage{Role: "assistant", ToolCalls: w.toolCalls}
	if !w.thinking.empty() {
		message.Reasoning, message.ReasoningContent = split(w.form.Reasoning, w.thinking.value())
	}
	if !w.content.empty() || len(w.toolCalls) == 0 {
		message.Content = w.content.value()
	}
	choice := openai.Choice{Index: w.choice, Message: message, FinishReason: reason}
	if w.form.Logprobs {
		choice.Logprobs = logprobs(w.probabilities)
		w.logprobs = append(w.logprobs, w.probabilities)
	}
	w.completion.Choices = append(w.completion.Choices, choice)
}
