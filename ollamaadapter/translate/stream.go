package translate

import (
	"bytes"

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
//	for each piece of the upstream's body:
//		events, err := stream.Write(piece)
//	events, err := stream.Close()
//
// Pieces may end anywhere. Every stream ends in one of two ways: the finish chunk
// and [DONE], or an error, after which the caller sends FailureEvent (or, if
// nothing was sent yet, a real status) and nothing more.
type Stream struct {
	id           Identity
	includeUsage bool

	pending []byte // an incomplete line
	events  bytes.Buffer
	started bool
	done    bool
	failed  error
	calls   int // tool calls so far
	summary Summary
}

// NewStream returns a Stream whose chunks carry id. includeUsage is the client's
// stream_options.include_usage.
func NewStream(id Identity, includeUsage bool) *Stream {
	return &Stream{id: id, includeUsage: includeUsage}
}

// Write takes the next piece of Ollama's answer and returns the events that it
// completes. They are valid until the next call. After an error it returns that
// error again.
func (s *Stream) Write(piece []byte) (events []byte, err error) {
	s.events.Reset()
	for len(piece) > 0 && s.failed == nil && !s.done {
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

// Close says that Ollama's answer has ended, and returns the last events: none,
// unless the last line had no line break.
func (s *Stream) Close() (events []byte, err error) {
	s.events.Reset()
	if s.failed == nil && !s.done && len(s.pending) > 0 {
		s.failed = s.line(s.pending)
		s.pending = nil
	}
	if s.failed == nil && !s.done {
		s.failed = ErrCutShort
	}
	return s.events.Bytes(), s.failed
}

// Done reports whether the answer is complete, [DONE] included.
func (s *Stream) Done() bool { return s.done }

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
	s.summary.Model = resp.Model
	// nothing is sent before there is something to say, so that a stream that
	// fails at its beginning can still be answered with a real status
	if says(&resp.Message) || resp.Done {
		s.begin()
	}
	s.message(&resp.Message)
	if resp.Done {
		s.finish(resp)
	}
	return nil
}

// begin sends the role, once.
func (s *Stream) begin() {
	if !s.started {
		s.started = true
		s.chunk(openai.Delta{Role: "assistant", Content: new(string)})
	}
}

// says reports whether a message adds anything to the answer.
func says(m *ollama.Message) bool {
	return m.Thinking != "" || m.Content != "" || len(m.ToolCalls) > 0
}

// message sends what a line adds to the answer. The final line may add something too.
func (s *Stream) message(m *ollama.Message) {
	if m.Thinking != "" {
		s.chunk(openai.Delta{Reasoning: m.Thinking, ReasoningContent: m.Thinking})
	}
	if m.Content != "" {
		s.chunk(openai.Delta{Content: &m.Content})
	}
	if len(m.ToolCalls) > 0 {
		s.chunk(openai.Delta{ToolCalls: answeredCalls(m.ToolCalls, s.calls, true)})
		s.calls += len(m.ToolCalls)
	}
	if says(m) {
		s.summary.CompletionTokens++
	}
}

func (s *Stream) finish(resp *ollama.ChatResponse) {
	s.done = true
	s.summary = finalSummary(resp, s.calls > 0)
	s.send(openai.ChunkChoice{FinishReason: &s.summary.FinishReason})
	if s.includeUsage {
		chunk := s.newChunk()
		chunk.Choices = []openai.ChunkChoice{}
		chunk.Usage = usage(s.summary)
		s.event(chunk)
	}
	s.events.WriteString("data: [DONE]\n\n")
}

func (s *Stream) chunk(delta openai.Delta) { s.send(openai.ChunkChoice{Delta: delta}) }

func (s *Stream) send(choice openai.ChunkChoice) {
	chunk := s.newChunk()
	chunk.Choices = []openai.ChunkChoice{choice}
	s.event(chunk)
}

func (s *Stream) newChunk() openai.Chunk {
	return openai.Chunk{
		ID: s.id.ID, Object: "chat.completion.chunk", Created: s.id.Created, Model: s.id.Model,
	}
}

// event writes one server-sent event. JSON has no raw line break, so a model's
// text cannot end an event or begin another.
func (s *Stream) event(chunk openai.Chunk) {
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
