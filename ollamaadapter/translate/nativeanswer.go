package translate

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// NativeStream passes Ollama's own stream on as it is, line by line. It is used as
// a Stream is.
type NativeStream struct {
	reader
	id  Identity
	out output
}

// NewNativeStream returns a NativeStream. Of id it needs the model and the time; of
// form, whether it is a text's and the tokens it may have.
func NewNativeStream(id Identity, form AnswerForm) *NativeStream {
	s := &NativeStream{id: id}
	s.reader = reader{form: form, to: s}
	return s
}

// Write takes the next piece of Ollama's answer and returns the lines that it completes.
func (s *NativeStream) Write(piece []byte) (lines []byte, err error) {
	s.out.begin(len(piece))
	err = s.read(piece)
	return s.out.Bytes(), err
}

// CloseChoice says that Ollama's answer has ended.
func (s *NativeStream) CloseChoice() (lines []byte, err error) {
	s.out.begin(0)
	err = s.closeChoice()
	return s.out.Bytes(), err
}

// Sent says that the lines that were returned last are not needed any more.
func (s *NativeStream) Sent() { s.out.end() }

// CutOff ends the answer as it is, for lack of time.
func (s *NativeStream) CutOff() (lines []byte) {
	s.out.begin(0)
	s.cutOff()
	return s.out.Bytes()
}

// Heartbeat is a line that says nothing.
func (s *NativeStream) Heartbeat() (lines []byte) {
	s.out.begin(0)
	if !s.finished && !s.Done() {
		s.made(object{{"done", jsontext.Value("false")}})
	}
	return s.out.Bytes()
}

// Failure is a line with an error, as Ollama itself ends what it cannot complete.
func (s *NativeStream) Failure(e *openai.Error) []byte { return e.NativeJSON() }

func (s *NativeStream) begin() {}

func (s *NativeStream) add(_ *ollama.ChatResponse, line []byte) {
	if s.begun || !saysNothing(line) {
		s.out.Write(line)
		s.out.WriteByte('\n')
	}
}

func (s *NativeStream) addPlain(p plain) {
	s.out.Write(p.line)
	s.out.WriteByte('\n')
}

// saysNothing reports whether a line that adds nothing known to an answer adds nothing
// else either. Before the first word such a line is not worth a status.
func saysNothing(line []byte) bool {
	decoded, _ := decodeOrdered(line, tolerant)
	whole, _ := decoded.(object)
	for _, m := range whole {
		switch m.name {
		case "model", "created_at", "message", "response", "thinking", "done":
		default:
			return false
		}
	}
	return true
}

func (s *NativeStream) finish(reason string, told bool) {
	if !told {
		s.made(object{{"done", jsontext.Value("true")}, {"done_reason", reason}})
	}
}

// made writes a line of our own that says nothing but how things stand.
func (s *NativeStream) made(state object) {
	line := object{{"model", s.id.Model}, {"created_at", time.Unix(s.id.Created, 0).UTC().Format(time.RFC3339)}}
	if s.form.Text {
		line = append(line, member{"response", ""})
	} else {
		line = append(line, member{"message", object{{"role", "assistant"}, {"content", ""}}})
	}
	s.out.Write(encodeOrdered(append(line, state...)))
	s.out.WriteByte('\n')
}

// NativeWhole makes one object of Ollama's own stream, as Ollama does of its lines
// for a client that wants no stream. It is used as a Stream is.
type NativeWhole struct {
	reader
	id   Identity
	size int

	content, thinking gathered
	toolCalls         []any
	logprobs          []any
	last              object
}

// NewNativeWhole returns a NativeWhole; NewNativeStream tells what id and form are.
func NewNativeWhole(id Identity, form AnswerForm) *NativeWhole {
	w := &NativeWhole{id: id}
	w.reader = reader{form: form, to: w}
	return w
}

// Write takes the next piece of Ollama's answer.
func (w *NativeWhole) Write(piece []byte) ([]byte, error) {
	if w.size += len(piece); w.size > maxWhole {
		w.failed = ErrGarbage
	}
	return nil, w.read(piece)
}

// CloseChoice says that Ollama's answer has ended, and returns all of it.
func (w *NativeWhole) CloseChoice() ([]byte, error) {
	if w.Done() {
		return nil, w.failed
	}
	if err := w.closeChoice(); err != nil {
		return nil, err
	}
	return w.json(), nil
}

// Sent does nothing: what was returned is the caller's.
func (w *NativeWhole) Sent() {}

// CutOff ends the answer as it is, for lack of time, and returns it.
func (w *NativeWhole) CutOff() []byte {
	w.cutOff()
	return w.json()
}

// Heartbeat is what JSON allows before an object.
func (w *NativeWhole) Heartbeat() []byte { return []byte("\n") }

// Failure is nothing: once a part of the answer is out, it cannot be told any more.
func (w *NativeWhole) Failure(*openai.Error) []byte { return nil }

func (w *NativeWhole) begin() {}

func (w *NativeWhole) add(resp *ollama.ChatResponse, line []byte) {
	w.content.add(resp.Message.Content)
	w.thinking.add(resp.Message.Thinking)
	if !resp.Done && len(resp.Message.ToolCalls) == 0 && len(resp.Logprobs) == 0 {
		return
	}
	// what may have fields that are not known here stays as it is
	var raw struct {
		Message struct {
			ToolCalls []jsontext.Value `json:"tool_calls"`
		} `json:"message"`
		Logprobs []jsontext.Value `json:"logprobs"`
	}
	_ = json.Unmarshal(line, &raw, tolerant) // it was decoded before
	for _, call := range raw.Message.ToolCalls {
		w.toolCalls = append(w.toolCalls, call)
	}
	for _, token := range raw.Logprobs {
		w.logprobs = append(w.logprobs, token)
	}
	if resp.Done {
		decoded, _ := decodeOrdered(line, tolerant)
		w.last, _ = decoded.(object)
	}
}

func (w *NativeWhole) addPlain(p plain) {
	w.content.addEscaped(p.content)
	w.thinking.addEscaped(p.thinking)
}

func (w *NativeWhole) finish(reason string, told bool) {
	if !told {
		w.last = object{
			{"model", w.id.Model}, {"created_at", time.Unix(w.id.Created, 0).UTC().Format(time.RFC3339)},
			{"done", jsontext.Value("true")}, {"done_reason", reason},
		}
	}
}

// json is the final line with all that the lines before it have said.
func (w *NativeWhole) json() []byte {
	said := object{}
	if !w.form.Text {
		message, _ := w.last.get("message")
		said, _ = message.(object)
		said.set("role", "assistant")
		said.set("content", w.content.value())
	} else {
		w.last.set("response", w.content.value())
	}
	if !w.thinking.empty() {
		said.set("thinking", w.thinking.value())
	}
	if len(w.toolCalls) > 0 {
		said.set("tool_calls", w.toolCalls)
	}
	if w.form.Text {
		for _, m := range said {
			w.last.set(m.name, m.value)
		}
	} else {
		w.last.set("message", said)
	}
	if len(w.logprobs) > 0 {
		w.last.set("logprobs", w.logprobs)
	}
	return encodeOrdered(w.last)
}
