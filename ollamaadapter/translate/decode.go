// Package translate turns OpenAI's requests into Ollama's native ones and
// Ollama's answers into OpenAI's. It is pure: no HTTP, no Caddy, no clock.
package translate

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// DecodeChat reads the body of a chat request. The texts of the request are pieces
// of body, which must not change from then on. Its error is an *openai.Error that
// names the field at fault.
func DecodeChat(body []byte) (*openai.ChatRequest, error) {
	return decode[openai.ChatRequest](body)
}

// DecodeEmbedding reads the body of a request for embeddings, likewise.
func DecodeEmbedding(body []byte) (*openai.EmbeddingRequest, error) {
	return decode[openai.EmbeddingRequest](body)
}

func decode[Request any](body []byte) (*Request, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, &openai.Error{
			Message: "the request has no body", Type: openai.TypeInvalidRequest, Code: openai.CodeInvalidJSON,
		}
	}
	req := new(Request)
	err := json.Unmarshal(body, req)
	if err == nil {
		if jsontext.Value(body).Kind() != '{' { // null, which would be a request of nothing
			return nil, noObject()
		}
		return req, nil
	}
	semantic, ok := errors.AsType[*json.SemanticError](err)
	if !ok || errors.As(semantic.Err, new(*jsontext.SyntacticError)) {
		return nil, &openai.Error{
			Message: "the request body is not valid JSON", Type: openai.TypeInvalidRequest, Code: openai.CodeInvalidJSON,
		}
	}
	field := param(semantic.JSONPointer)
	if field == "" {
		return nil, noObject()
	}
	return nil, wrongType(field)
}

func noObject() error {
	return &openai.Error{
		Message: "the request body must be a JSON object", Type: openai.TypeInvalidRequest, Code: openai.CodeInvalidType,
	}
}

// param writes a JSON pointer as OpenAI names fields: /messages/0/content is
// messages[0].content. It names only fields that the request type has, so that
// no error repeats a client's input.
func param(pointer jsontext.Pointer) string {
	var b strings.Builder
	for name := range pointer.Tokens() {
		if _, err := strconv.Atoi(name); err == nil {
			b.WriteString("[" + name + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(name)
	}
	return b.String()
}
