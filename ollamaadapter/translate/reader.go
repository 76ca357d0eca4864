package translate

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// maxLine bounds one line of Ollama's answer, in bytes; Ollama's own client has
// the same bound (api/client.go).
const maxLine = 8 << 20

// reader reads Ollama's answers, one for each choice, as newline-delimited JSON, and
// tells what they come to. Pieces of an answer may end anywhere. An answer of one
// line, which is what Ollama makes of `stream: false`, is read in the same way.
//
// Each choice ends in one of two ways: with its final line, or, if it grew beyond
// what was asked for, as if Ollama had ended it there. Everything else is an error:
// a line that is none or tells of one, and an end without a final line.
type reader struct {
	form    AnswerForm
	to      receiver
	summary Summary
	failed  error
	// fingerprint is an engine's; empty if it tells none
	fingerprint string
	lines       int
	choice      int // that is being read

	// of that choice
	pending  []byte // an incomplete line
	begun    bool
	finished bool
	stopped  bool // it was ended here
	calls    int  // tool calls so far
	tokens   int  // counted so far
	forced   strings.Builder
	engine   engineStream
}

// receiver is told what a reader has read.
type receiver interface {
	// begin begins a choice.
	begin()
	// add adds what a line says to the choice. line is the line as it came.
	add(resp *ollama.ChatResponse, line []byte)
	// addPlain adds what a line says that was not decoded.
	addPlain(plain)
	// finish ends a choice. told says that Ollama did so itself.
	finish(reason string, told bool)
}

// read takes the next piece of Ollama's answer. After an error it returns that
// error again.
func (r *reader) read(piece []byte) error {
	for len(piece) > 0 && r.failed == nil && !r.finished && !r.Done() {
		line, rest, whole := bytes.Cut(piece, []byte("\n"))
		piece = rest
		if len(r.pending)+len(line) > maxLine {
			r.failed = ErrGarbage
			break
		}
		if !whole || len(r.pending) > 0 {
			r.pending = append(r.pending, line...)
			line = r.pending
		}
		if !whole {
			break
		}
		r.failed = r.line(line)
		r.pending = r.pending[:0]
	}
	return r.failed
}

// closeChoice says that Ollama's answer for this choice has ended. What is read
// next belongs to the next choice.
func (r *reader) closeChoice() error {
	if r.Done() {
		return r.failed
	}
	if r.failed == nil && !r.finished && len(r.pending) > 0 {
		r.failed = r.line(r.pending)
	}
	if r.failed == nil && !r.finished && r.form.Engine {
		// an engine that does not say [DONE] has said why it ends
		if resp := r.engine.end(); resp != nil {
			r.failed = r.take(resp, nil)
		}
	}
	if r.failed == nil && !r.finished {
		r.failed = ErrCutShort
	}
	if r.failed == nil {
		r.choice++
		r.begun, r.finished, r.stopped, r.calls, r.tokens, r.pending = false, false, false, 0, 0, nil
		r.forced.Reset()
		r.engine = engineStream{}
	}
	return r.failed
}

// cutOff ends the answer as it is, for lack of tokens or time: every choice that
// is not complete becomes so.
func (r *reader) cutOff() {
	for r.failed == nil && !r.Done() {
		if !r.finished {
			r.failed = r.end()
		}
		if r.failed == nil {
			r.failed = r.closeChoice()
		}
	}
}

// ChoiceDone reports whether the choice being read is complete; there is nothing
// more to be read of it.
func (r *reader) ChoiceDone() bool { return r.finished }

// Stopped reports whether the choice being read was ended here, for lack of tokens;
// then Ollama does not know of it yet.
func (r *reader) Stopped() bool { return r.stopped }

// Done reports whether the answer is complete.
func (r *reader) Done() bool { return r.choice >= r.form.Choices }

// Lines is the number of lines read.
func (r *reader) Lines() int { return r.lines }

// Summary is what the answer has come to so far.
func (r *reader) Summary() Summary {
	s := r.summary
	if !r.finished && !r.Done() {
		s.Counted = false // whatever this choice costs, nobody has counted it
	}
	return s
}

// line takes one line. What follows the final one is not looked at.
func (r *reader) line(line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil
	}
	if r.form.Engine {
		resp, err := r.engine.line(line)
		r.fingerprint = cmp.Or(r.fingerprint, r.engine.fingerprint)
		if resp == nil || err != nil {
			return err // a line that says nothing is no sign that the answer goes on
		}
		r.lines++
		if says(resp) || resp.Done {
			return r.take(resp, line)
		}
		if r.full() {
			return r.end()
		}
		r.count() // a part of a tool call, which is told when it is whole
		return nil
	}
	r.lines++
	p, ok := plainLine(line)
	if ok && r.takePlain(p) {
		return nil
	}
	if ok {
		if resp := p.end(); resp != nil && r.isModel(p.model) {
			return r.take(resp, line)
		}
	}
	resp, err := decodeResponse(line)
	if err != nil {
		return err
	}
	return r.take(resp, line)
}

// take takes what a line says.
func (r *reader) take(resp *ollama.ChatResponse, line []byte) error {
	r.summary.Model = cmp.Or(resp.Model, r.summary.Model)
	if says(resp) && !(r.form.Engine && resp.Done) { // the end repeats calls that were counted in parts
		if !resp.Done && r.full() {
			return r.end()
		}
		r.count()
	}
	if err := r.settle(resp); err != nil {
		return err
	}
	// nothing is begun before there is something to say, so that an answer that
	// fails at its beginning can still get a real status
	if says(resp) || resp.Done {
		r.begin()
	}
	r.to.add(resp, line)
	r.calls += len(resp.Message.ToolCalls)
	if resp.Done {
		reason := finishReason(resp.DoneReason, r.calls > 0)
		r.summary.finish(resp, reason, r.tokens)
		r.finished = true
		r.to.finish(reason, true)
	}
	return nil
}

// takePlain takes what a line says that is not decoded, if it is nothing but a text.
func (r *reader) takePlain(p plain) bool {
	if !p.goesOn() || r.form.ForcedCall || r.full() || !r.isModel(p.model) {
		return false
	}
	r.count()
	r.begin()
	r.to.addPlain(p)
	return true
}

// isModel reports whether this, as it is escaped, is the model that has answered so far.
func (r *reader) isModel(escaped []byte) bool {
	if r.summary.Model == "" && bytes.IndexByte(escaped, '\\') < 0 {
		r.summary.Model = string(escaped)
	}
	return string(escaped) == r.summary.Model
}

// count counts a token: Ollama never has less than one in a line that says something.
func (r *reader) count() {
	r.tokens++
	r.summary.CompletionTokens++
	r.summary.Counted = false // until the final line of this choice
}

// full reports whether the choice has all the tokens that were asked for. Ollama
// ends such a choice itself; but the promise to the operator is kept here, whatever
// the upstream does (ollama#18575).
func (r *reader) full() bool { return r.form.MaxTokens > 0 && r.tokens >= r.form.MaxTokens }

// end ends the choice as Ollama does when it has all its tokens.
func (r *reader) end() error {
	resp := &ollama.ChatResponse{Done: true, DoneReason: finishLength}
	if err := r.settle(resp); err != nil {
		return err
	}
	r.begin()
	if says(resp) { // a forced call that is complete after all
		r.to.add(resp, nil)
		r.calls += len(resp.Message.ToolCalls)
	}
	r.summary.FinishReasons = append(r.summary.FinishReasons, finishLength)
	r.finished, r.stopped = true, true
	r.to.finish(finishLength, false)
	return nil
}

func (r *reader) begin() {
	if !r.begun {
		r.begun = true
		r.to.begin()
	}
}

// settle makes of a line the tool calls that the client is to see.
func (r *reader) settle(resp *ollama.ChatResponse) error {
	if r.form.ForcedCall {
		if r.forced.Len()+len(resp.Message.Content) > maxLine {
			return ErrGarbage
		}
		r.forced.WriteString(resp.Message.Content)
		resp.Message.Content = ""
		if !resp.Done {
			return nil
		}
		resp.Message.Content = r.forced.String()
	}
	if r.form.OneCall && r.calls > 0 {
		resp.Message.ToolCalls = nil
	}
	if r.form.Reasoning == ReasoningHidden && (resp.Message.Thinking != "" || resp.Message.Content == "") {
		resp.Logprobs = nil // of tokens that are hidden
	}
	return r.form.settleCalls(resp)
}

// says reports whether a line adds anything to the answer.
func says(resp *ollama.ChatResponse) bool {
	m := &resp.Message
	return m.Thinking != "" || m.Content != "" || len(m.ToolCalls) > 0 || len(resp.Logprobs) > 0
}
