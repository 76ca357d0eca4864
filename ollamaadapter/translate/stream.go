package translate

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Stream turns Ollama's newline-delimited JSON into OpenAI's server-sent events.
//
//	for each choice:
//		for each piece of the upstream's body:
//			events, err := stream.Write(piece)
//		events, err := stream.CloseChoice()
//
// Pieces may end anywhere. Every stream ends in one of two ways: the finish chunk
// and [DONE], or an error, after which the caller sends Failure (or, if nothing was
// sent yet, a real status) and nothing more.
type Stream struct {
	reader
	id     Identity
	events bytes.Buffer
	plain  *template
	offset int // of the next token's text, for logprobs
}

// NewStream returns a Stream whose chunks carry id.
func NewStream(id Identity, form AnswerForm) *Stream {
	s := &Stream{id: id}
	s.reader = reader{form: form, to: s}
	return s
}

// Write takes the next piece of Ollama's answer and returns the events that it
// completes. They are valid until the next call. After an error it returns that
// error again.
func (s *Stream) Write(piece []byte) (events []byte, err error) {
	s.events.Reset()
	err = s.read(piece)
	return s.events.Bytes(), err
}

// CloseChoice says that Ollama's answer for this choice has ended, and returns
// the last events: none, unless the last line had no line break. The next Write
// begins the next choice.
func (s *Stream) CloseChoice() (events []byte, err error) {
	s.events.Reset()
	err = s.closeChoice()
	return s.events.Bytes(), err
}

// CutOff ends the answer as it is, for lack of time, and returns the last events.
func (s *Stream) CutOff() (events []byte) {
	s.events.Reset()
	s.cutOff()
	return s.events.Bytes()
}

// Heartbeat is an event that says nothing: the role, if it was not told yet, or
// an empty delta. OpenClaw's watchdog does not count comments for a sign of life.
func (s *Stream) Heartbeat() (events []byte) {
	s.events.Reset()
	switch {
	case s.Done(), s.finished:
	case !s.begun && (!s.form.Text || s.choice < len(s.form.Echo)):
		s.reader.begin()
	case s.form.Text:
		s.sendText(openai.TextChoice{})
	default:
		s.send(openai.ChunkChoice{})
	}
	return s.events.Bytes()
}

// Failure is how a stream ends that cannot be completed. No [DONE] follows: most
// SDKs would take what came before for the whole answer.
func (s *Stream) Failure(e *openai.Error) []byte {
	return append(append([]byte("data: "), e.JSON()...), "\n\n"...)
}

// begin sends the role, once for each choice; of a text, the prompt if it is echoed.
func (s *Stream) begin() {
	s.offset, s.plain = 0, nil
	switch {
	case s.choice < len(s.form.Echo):
		s.offset = utf8.RuneCountInString(s.form.Echo[s.choice])
		s.sendText(openai.TextChoice{Text: s.form.Echo[s.choice]})
	case !s.form.Text:
		s.send(openai.ChunkChoice{Delta: openai.Delta{Role: "assistant", Content: new(string)}})
	}
}

// add sends what a line adds to the answer. The final line may add something too.
func (s *Stream) add(resp *ollama.ChatResponse, _ []byte) {
	m := &resp.Message
	if s.form.Text {
		s.text(resp)
		return
	}
	var probabilities *openai.Logprobs
	if s.form.Logprobs && len(resp.Logprobs) > 0 {
		probabilities = logprobs(resp.Logprobs)
	}
	if reasoning, content := s.form.Reasoning.split(m.Thinking); reasoning != "" || content != "" {
		s.send(openai.ChunkChoice{Delta: openai.Delta{Reasoning: reasoning, ReasoningContent: content}})
	}
	if m.Content != "" || probabilities != nil {
		s.send(openai.ChunkChoice{Delta: openai.Delta{Content: &m.Content}, Logprobs: probabilities})
	}
	if len(m.ToolCalls) > 0 {
		s.send(openai.ChunkChoice{Delta: openai.Delta{ToolCalls: answeredCalls(m.ToolCalls, s.calls, true)}})
	}
}

func (s *Stream) finish(reason string, _ bool) {
	if s.form.Text {
		s.sendText(openai.TextChoice{FinishReason: &reason})
	} else {
		s.send(openai.ChunkChoice{FinishReason: &reason})
	}
	if s.choice < s.form.Choices-1 {
		return
	}
	if s.form.IncludeUsage {
		s.sendUsage()
	}
	s.events.WriteString("data: [DONE]\n\n")
}

// sendUsage sends the chunk without choices that tells the usage.
func (s *Stream) sendUsage() {
	if s.form.Text {
		chunk := s.newText()
		chunk.Choices, chunk.Usage = []openai.TextChoice{}, s.summary.usage()
		s.event(chunk)
		return
	}
	chunk := s.newChunk()
	chunk.Choices, chunk.Usage = []openai.ChunkChoice{}, s.summary.usage()
	s.event(chunk)
}

func (s *Stream) send(choice openai.ChunkChoice) {
	choice.Index = s.choice
	chunk := s.newChunk()
	chunk.Choices = []openai.ChunkChoice{choice}
	s.event(chunk)
}

func (s *Stream) newChunk() openai.Chunk {
	return openai.Chunk{
		ID: s.id.ID, Object: "chat.completion.chunk", Created: s.id.Created, Model: s.id.Model,
		SystemFingerprint: s.id.Fingerprint,
	}
}

// event writes one server-sent event. JSON has no raw line break, so a model's
// text cannot end an event or begin another.
func (s *Stream) event(chunk any) {
	s.events.WriteString("data: ")
	err := json.MarshalWrite(&s.events, chunk, jsontext.AllowInvalidUTF8(true), jsontext.EscapeForJS(true))
	if err != nil {
		panic(err) // plain structs always marshal into a buffer
	}
	s.events.WriteString("\n\n")
}
