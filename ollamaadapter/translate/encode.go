package translate

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// chatRequest is an ollama.ChatRequest with messages as they are sent.
type chatRequest struct {
	ollama.ChatRequest // without its Messages
	messages           []message
}

// Encode is a request as Ollama gets it: one of an Exchange, or another of package
// ollama.
func Encode(native any) ([]byte, error) {
	switch request := native.(type) {
	case *chatRequest:
		return request.encode()
	case jsontext.Value: // encoded already
		return request, nil
	}
	return json.Marshal(native, json.Deterministic(true))
}

// encode copies the messages, which are nearly all of a request, as they are;
// json.Marshal would read each of them once more.
func (c *chatRequest) encode() ([]byte, error) {
	fields, err := json.Marshal(&c.ChatRequest, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	size := len(fields) + 64
	for _, m := range c.messages {
		size += len(m.content) + len(m.thinking) + len(m.toolCalls) + 64
	}
	body := appendText(append(make([]byte, 0, size), `{"model":`...), c.Model)
	rest := fields[len(body):]
	body = append(body, `,"messages":[`...)
	for i := range c.messages {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendOrdered(body, c.messages[i].object())
	}
	body = append(body, ']')
	return append(body, rest...), nil
}
