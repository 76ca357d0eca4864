package translate

import (
	"bytes"
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// maxLine bounds one line of Ollama's stream, in bytes; Ollama's own client has
// the same bound (api/client.go).
const maxLine = 8 << 20

// Stream turns Ollama's newline-delimited JSON into OpenAI's server-sent events.
//
//	for each choice:
//		for each piece of the upstream's body:
//			events, err := stream.Write(piece)
//		events, err := stream.CloseChoice()
//
// Pieces may end anywhere. Every stream ends in one of two ways: the finish chunk
// and [DONE], or an error, after which the caller sends FailureEvent (or, if
// nothing was sent yet, a real status) and nothing more.
type Stream struct {
	id   Identity
	form AnswerForm

	events  bytes.Buffer
	failed  error
	summary Summary

	// of the choice that is being written
	choice    int
	pending   []byte // an incomplete line
	begun     bool
	finished  bool
	calls     int // tool calls so far
	estimated int // tokens counted so far
	forced    strings.Builder
	offset    int // of the next token's text, for logprobs
}

// NewStream returns a Stream whose chunks carry id.
func NewStream(id Identity, form AnswerForm) *Stream { return &Stream{id: id, form: form} }

// Write takes the next piece of Ollama's answer and returns the events that it
// completes. They are valid until the next call. After an error it returns that
// error again.
func (s *Stream) Write(piece []byte) (events []byte, err error) {
	s.events.Reset()
	for len(piece) > 0 && s.failed == nil && !s.finished && !s.Done() {
		line, rest, whole := bytes.Cut(piece, []byte("\n"))
		piece = rest
		if len(s.pending)+len(line) > maxLine {
			s.failed = ErrGarbage
			break
		}
		if !whole {
			s.pending = append(s.pending, line...)
			break
		}
		if len(s.pending) > 0 {
			line = append(s.pending, line...)
		}
		s.failed = s.line(line)
		s.pending = s.pending[:0]
	}
	return s.events.Bytes(), s.failed
}

// CloseChoice says that Ollama's answer for this choice has ended, and returns
// the last events: none, unless the last line had no line break. The next Write
// begins the next choice.
func (s *Stream) CloseChoice() (events []byte, err error) {
	s.events.Reset()
	if s.Done() {
		return nil, nil
	}
	if s.failed == nil && !s.finished && len(s.pending) > 0 {
		s.failed = s.line(s.pending)
	}
	if s.failed == nil && !s.finished {
		s.failed = ErrCutShort
	}
	if s.failed == nil {
		s.choice++
		s.begun, s.finished, s.calls, s.estimated, s.offset, s.pending = false, false, 0, 0, 0, nil
		s.forced.Reset()
	}
	return s.events.Bytes(), s.failed
}

// ChoiceDone reports whether the choice being written is complete; there is nothing
// more to be read of it.
func (s *Stream) ChoiceDone() bool { return s.finished }

// Done reports whether the answer is complete, [DONE] included.
func (s *Stream) Done() bool { return s.choice >= s.form.Choices }

// Summary is what the answer has come to so far.
func (s *Stream) Summary() Summary { return s.summary }

// line translates one line. What follows the final one is not looked at.
func (s *Stream) line(line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil
	}
	resp, err := decodeResponse(line)
	if err != nil {
		return err
	}
	s.summary.Model = cmp.Or(resp.Model, s.summary.Model)
	if says(resp) {
		s.estimated++
		s.summary.CompletionTokens++
		s.summary.Counted = false // until the final line of this choice
	}
	if err := s.settle(resp); err != nil {
		return err
	}
	// nothing is sent before there is something to say, so that a stream that
	// fails at its beginning can still be answered with a real status
	if says(resp) || resp.Done {
		s.begin()
	}
	s.message(resp)
	if resp.Done {
		s.finish(resp)
	}
	return nil
}

// settle makes of a line the tool calls that the client is to see.
func (s *Stream) settle(resp *ollama.ChatResponse) error {
	if s.form.ForcedCall {
		if s.forced.Len()+len(resp.Message.Content) > maxLine {
			return ErrGarbage
		}
		s.forced.WriteString(resp.Message.Content)
		resp.Message.Content = ""
		if !resp.Done {
			return nil
		}
		resp.Message.Content = s.forced.String()
	}
	if s.form.OneCall && s.calls > 0 {
		resp.Message.ToolCalls = nil
	}
	return s.form.settleCalls(resp)
}

// begin sends the role, once for each choice; of a text, the prompt if it is echoed.
func (s *Stream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	switch {
	case s.choice < len(s.form.Echo):
		s.offset = utf8.RuneCountInString(s.form.Echo[s.choice])
		s.sendText(openai.TextChoice{Text: s.form.Echo[s.choice]})
	case !s.form.Text:
		s.send(openai.ChunkChoice{Delta: openai.Delta{Role: "assistant", Content: new(string)}})
	}
}

// says reports whether a line adds anything to the answer.
func says(resp *ollama.ChatResponse) bool {
	m := &resp.Message
	return m.Thinking != "" || m.Content != "" || len(m.ToolCalls) > 0 || len(resp.Logprobs) > 0
}

// message sends what a line adds to the answer. The final line may add something too.
func (s *Stream) message(resp *ollama.ChatResponse) {
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
		s.calls += len(m.ToolCalls)
	}
}

func (s *Stream) finish(resp *ollama.ChatResponse) {
	s.finished = true
	reason := finishReason(resp.DoneReason, s.calls > 0)
	s.summary.finish(resp, reason, s.estimated)
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

// FailureEvent is how a stream ends that cannot be completed. No [DONE] follows:
// most SDKs would take what came before for the whole answer.
func FailureEvent(e *openai.Error) []byte {
	return append(append([]byte("data: "), e.JSON()...), "\n\n"...)
}
