package translate

import (
	"unicode/utf8"

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
	events output
	start  []byte // of each event; made with the first
	offset int    // of the next token's text, for logprobs
}

// NewStream returns a Stream whose chunks carry id.
func NewStream(id Identity, form AnswerForm) *Stream {
	s := &Stream{id: id}
	s.reader = reader{form: form, to: s}
	return s
}

// Write takes the next piece of Ollama's answer and returns the events that it
// completes. They are valid until the next call, or Sent. After an error it returns
// that error again.
func (s *Stream) Write(piece []byte) (events []byte, err error) {
	s.events.begin(2 * len(piece)) // or it would grow time and again
	err = s.read(piece)
	return s.events.Bytes(), err
}

// CloseChoice says that Ollama's answer for this choice has ended, and returns
// the last events: none, unless the last line had no line break. The next Write
// begins the next choice.
func (s *Stream) CloseChoice() (events []byte, err error) {
	s.events.begin(0)
	err = s.closeChoice()
	return s.events.Bytes(), err
}

// Sent says that the events that were returned last are not needed any more.
func (s *Stream) Sent() { s.events.end() }

// CutOff ends the answer as it is, for lack of time, and returns the last events.
func (s *Stream) CutOff() (events []byte) {
	s.events.begin(0)
	s.cutOff()
	return s.events.Bytes()
}

// Heartbeat is an event that says nothing: the role, if it was not told yet, or
// an empty delta. OpenClaw's watchdog does not count comments for a sign of life.
func (s *Stream) Heartbeat() (events []byte) {
	s.events.begin(0)
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
	s.offset = 0
	switch {
	case s.choice < len(s.form.Echo):
		s.offset = utf8.RuneCountInString(s.form.Echo[s.choice])
		s.sendText(openai.TextChoice{Text: s.form.Echo[s.choice]})
	case !s.form.Text:
		s.write(roleChoice, nil)
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
	if reasoning, content := split(s.form.Reasoning, m.Thinking); reasoning != "" || content != "" {
		s.send(openai.ChunkChoice{Delta: openai.Delta{Reasoning: reasoning, ReasoningContent: content}})
	}
	if m.Content != "" || probabilities != nil {
		s.send(openai.ChunkChoice{Delta: openai.Delta{Content: &m.Content}, Logprobs: probabilities})
	}
	if len(m.ToolCalls) > 0 {
		s.send(openai.ChunkChoice{Delta: openai.Delta{ToolCalls: answeredCalls(m.ToolCalls, s.calls, true)}})
	}
}

// addPlain sends the text of a line as it is escaped.
func (s *Stream) addPlain(p plain) {
	switch {
	case s.form.Text && len(p.content) > 0:
		s.write(textChoice, p.content)
	case s.form.Text:
	case len(p.content) > 0:
		s.write(contentChoice, p.content)
	case s.form.Reasoning != ReasoningHidden:
		s.write(reasoningChoice[s.form.Reasoning], p.thinking)
	}
}

func (s *Stream) finish(reason string, _ bool) {
	if s.form.Text {
		s.write(textFinishChoice, []byte(reason))
	} else {
		s.write(finishChoice, []byte(reason))
	}
	if s.choice < s.form.Choices-1 {
		return
	}
	if s.form.IncludeUsage {
		s.sendUsage()
	}
	s.events.WriteString("data: [DONE]\n\n")
}

// sendUsage sends the event without choices that tells the usage.
func (s *Stream) sendUsage() {
	s.open()
	s.events.WriteString(`],"usage":`)
	s.events.Write(s.summary.appendUsage(s.events.AvailableBuffer()))
	s.events.WriteString("}\n\n")
}

// send sends a choice of which more is said than a template has.
func (s *Stream) send(choice openai.ChunkChoice) {
	choice.Index = s.choice
	s.open()
	s.events.Write(eventJSON(choice))
	s.close()
}

func (s *Stream) sendText(choice openai.TextChoice) {
	choice.Index = s.choice
	s.open()
	s.events.Write(eventJSON(choice))
	s.close()
}

// write sends a choice with this text, which is escaped.
func (s *Stream) write(choice template, text []byte) {
	s.open()
	choice.write(s.events.Buffer, s.choice, text)
	s.close()
}

// open writes the beginning of an event, up to where its choices stand.
func (s *Stream) open() {
	if s.id.learn(s.fingerprint) || s.start == nil {
		object := "chat.completion.chunk"
		if s.form.Text {
			object = "text_completion"
		}
		s.start = s.id.open(append(make([]byte, 0, 256), "data: "...), object)
	}
	s.events.Write(s.start)
}

// close writes the end of an event that has a choice.
func (s *Stream) close() { s.events.WriteString("]}\n\n") }
