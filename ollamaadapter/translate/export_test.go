package translate

import (
	"bytes"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// IsPlainEnd reports whether a line is an end that is not decoded.
func IsPlainEnd(line []byte) bool {
	p, ok := plainLine(line)
	return ok && p.end() != nil
}

// IsBase64 is isBase64.
func IsBase64(text string) bool { return isBase64(text) }

// Encoded is what Encode returns, in one piece.
func Encoded(native any) ([]byte, error) {
	pieces, err := Encode(native)
	return bytes.Join(pieces, nil), err
}

// JSON is the answer with the choices so far.
func (w *Whole) JSON() []byte { return w.json() }

// Completion is what a client reads out of it: an *openai.Completion or *openai.TextCompletion.
func (w *Whole) Completion() any {
	var completion any = new(openai.Completion)
	if w.form.Text {
		completion = new(openai.TextCompletion)
	}
	if err := json.Unmarshal(w.json(), completion); err != nil {
		panic(err)
	}
	return completion
}
