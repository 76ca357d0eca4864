package translate

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// chatRequest is an ollama.ChatRequest with messages as they are sent.
type chatRequest struct {
	ollama.ChatRequest // without its Messages
	messages           []message
}

// Pieces are JSON in pieces, one behind the other. Long ones are what the client has
// written, not copies: a prompt may have megabytes, and is needed for as long as its
// answer takes.
type Pieces [][]byte

// Len is the length of all, in bytes.
func (p Pieces) Len() (n int) {
	for _, piece := range p {
		n += len(piece)
	}
	return n
}

// longPiece is the size, in bytes, from which on it is worth not to be copied.
const longPiece = 4 << 10

// Encode is a request as Ollama gets it: one of an Exchange, or another of package
// ollama.
func Encode(native any) (Pieces, error) {
	switch request := native.(type) {
	case *chatRequest:
		return request.encode(), nil
	case jsontext.Value: // encoded already
		return Pieces{request}, nil
	}
	data, err := json.Marshal(native, json.Deterministic(true))
	return Pieces{data}, err
}

// encoder writes JSON.
type encoder struct {
	done Pieces
	data []byte // the piece that is being written
}

// raw writes what is JSON already.
func (e *encoder) raw(value []byte) {
	if len(value) < longPiece {
		e.data = append(e.data, value...)
		return
	}
	e.done = append(e.done, e.data, value)
	e.data = e.data[len(e.data):] // the next piece lies behind it
}

func (e *encoder) string(literal string) { e.data = append(e.data, literal...) }

// comma writes what stands before the element i of a list.
func (e *encoder) comma(i int) { e.data = appendComma(e.data, i) }

func (e *encoder) text(s string) { e.data = appendText(e.data, s) }

// encode writes the request field by field. Its messages and schemas, which are nearly
// all of it, go on as they are; json.Marshal would read each of them once more.
func (c *chatRequest) encode() Pieces {
	e := &encoder{data: make([]byte, 0, c.size())}
	e.string(`{"model":`)
	e.text(c.Model)
	e.string(`,"messages":[`)
	for i := range c.messages {
		e.comma(i)
		c.messages[i].encode(e)
	}
	e.string(`],"stream":`)
	e.data = strconv.AppendBool(e.data, c.Stream)
	if len(c.Format) > 0 {
		e.string(`,"format":`)
		e.raw(c.Format)
	}
	if len(c.Tools) > 0 {
		e.string(`,"tools":[`)
		for i := range c.Tools {
			e.comma(i)
			encodeTool(e, &c.Tools[i])
		}
		e.string("]")
	}
	if len(c.Options) > 0 {
		e.string(`,"options":`)
		e.data = appendOptions(e.data, c.Options)
	}
	if c.Think != nil {
		e.string(`,"think":`)
		e.data = appendValue(e.data, c.Think)
	}
	if c.Truncate != nil {
		e.string(`,"truncate":`)
		e.data = strconv.AppendBool(e.data, *c.Truncate)
	}
	if c.KeepAlive != nil {
		e.string(`,"keep_alive":`)
		e.data = appendNumber(e.data, *c.KeepAlive)
	}
	if c.Logprobs {
		e.string(`,"logprobs":true`)
	}
	if c.TopLogprobs != 0 {
		e.string(`,"top_logprobs":`)
		e.data = strconv.AppendInt(e.data, int64(c.TopLogprobs), 10)
	}
	e.string("}")
	return append(e.done, e.data)
}

// size is about what encode writes besides long pieces, in bytes.
func (c *chatRequest) size() int {
	size := 128 + len(c.Model) + short(c.Format) + 32*len(c.Options)
	for i := range c.messages {
		m := &c.messages[i]
		size += short(m.content) + short(m.thinking) + short(m.toolCalls) + len(m.toolName) + len(m.toolCallID) + 64
		for _, image := range m.images {
			size += len(image) + 3
		}
	}
	for _, tool := range c.Tools {
		size += len(tool.Function.Name) + len(tool.Function.Description) + short(tool.Function.Parameters) + 96
	}
	return size
}

// short is the length of a value that is copied.
func short(value []byte) int {
	if len(value) < longPiece {
		return len(value)
	}
	return 0
}

// encode writes the message with the fields that Ollama has, in its order.
func (m *message) encode(e *encoder) {
	e.string(`{"role":`)
	e.text(m.role)
	e.string(`,"content":`)
	e.raw(m.content.JSON())
	if !m.thinking.Empty() {
		e.string(`,"thinking":`)
		e.raw(m.thinking)
	}
	if len(m.images) > 0 {
		e.string(`,"images":[`)
		for i, image := range m.images {
			e.comma(i)
			e.text(image)
		}
		e.string("]")
	}
	if m.toolCalls != nil {
		e.string(`,"tool_calls":`)
		e.raw(m.toolCalls)
	}
	if m.toolName != "" {
		e.string(`,"tool_name":`)
		e.text(m.toolName)
	}
	if m.toolCallID != "" {
		e.string(`,"tool_call_id":`)
		e.text(m.toolCallID)
	}
	e.string("}")
}

func encodeTool(e *encoder, tool *ollama.Tool) {
	e.string(`{"type":`)
	e.text(tool.Type)
	e.string(`,"function":{"name":`)
	e.text(tool.Function.Name)
	if tool.Function.Description != "" {
		e.string(`,"description":`)
		e.text(tool.Function.Description)
	}
	e.string(`,"parameters":`)
	e.raw(tool.Function.Parameters)
	e.string("}}")
}

// appendCall writes the call i of a message as an ollama.ToolCall.
func appendCall(data []byte, i int, call *openai.ToolCall, arguments jsontext.Value) []byte {
	data = append(data, '{')
	if call.ID != "" {
		data = append(appendText(append(data, `"id":`...), call.ID), ',')
	}
	data = strconv.AppendInt(append(data, `"function":{"index":`...), int64(i), 10)
	data = appendText(append(data, `,"name":`...), call.Function.Name)
	data = append(append(data, `,"arguments":`...), arguments...)
	return append(data, `}}`...)
}

// appendComma writes what stands before the element i of a list.
func appendComma(data []byte, i int) []byte {
	if i == 0 {
		return data
	}
	return append(data, ',')
}
