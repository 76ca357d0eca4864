package translate

import (
	"bytes"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Object is an answer that Ollama gives in one piece, such as embeddings. It is used
// as a Stream is.
type Object struct {
	turn    func(body []byte) (out []byte, summary Summary, err error)
	body    bytes.Buffer
	done    bool
	summary Summary
}

// NewObject returns an Object whose body turn makes into what the client gets.
func NewObject(turn func(body []byte) (out []byte, summary Summary, err error)) *Object {
	return &Object{turn: turn}
}

// Write takes the next piece of Ollama's answer.
func (o *Object) Write(piece []byte) ([]byte, error) {
	if o.body.Len()+len(piece) > maxWhole {
		return nil, ErrGarbage
	}
	o.body.Write(piece)
	return nil, nil
}

// CloseChoice says that Ollama's answer has ended, and returns what the client gets.
func (o *Object) CloseChoice() (out []byte, err error) {
	out, o.summary, err = o.turn(o.body.Bytes())
	o.done = err == nil
	return out, err
}

// Sent does nothing: what was returned is the caller's.
func (o *Object) Sent() {}

// CutOff is nothing: half an object is none.
func (o *Object) CutOff() []byte { return nil }

// Heartbeat is what JSON allows before an object.
func (o *Object) Heartbeat() []byte { return []byte("\n") }

// Failure is nothing: once a part of the answer is out, it cannot be told any more.
func (o *Object) Failure(*openai.Error) []byte { return nil }

// ChoiceDone reports whether the answer is complete.
func (o *Object) ChoiceDone() bool { return o.done }

// Stopped is false.
func (o *Object) Stopped() bool { return false }

// Lines is 0: an object has no lines that could come one by one.
func (o *Object) Lines() int { return 0 }

// Summary is what the answer came to.
func (o *Object) Summary() Summary { return o.summary }
