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

// Encode is a request as Ollama gets it: one of an Exchange, or another of package
// ollama.
func Encode(native any) ([]byte, error) {
	switch request := native.(type) {
	case *chatRequest:
		return request.encode(), nil
	case jsontext.Value: // encoded already
		return request, nil
	}
	return json.Marshal(native, json.Deterministic(true))
}

// encode writes the request field by field. Its messages and schemas, which are nearly
// all of it, are copied as they are; json.Marshal would read each of them once more.
func (c *chatRequest) encode() []byte {
	size := 128 + len(c.Model) + len(c.Format) + 32*len(c.Options)
	for i := range c.messages {
		m := &c.messages[i]
		size += len(m.content) + len(m.thinking) + len(m.toolCalls) + len(m.toolName) + len(m.toolCallID) + 64
		for _, image := range m.images {
			size += len(image) + 3
		}
	}
	for _, tool := range c.Tools {
		size += len(tool.Function.Name) + len(tool.Function.Description) + len(tool.Function.Parameters) + 96
	}
	data := append(make([]byte, 0, size), `{"model":`...)
	data = appendText(data, c.Model)
	data = append(data, `,"messages":[`...)
	for i := range c.messages {
		data = c.messages[i].appendTo(appendComma(data, i))
	}
	data = append(data, `],"stream":`...)
	data = strconv.AppendBool(data, c.Stream)
	if len(c.Format) > 0 {
		data = append(append(data, `,"format":`...), c.Format...)
	}
	if len(c.Tools) > 0 {
		data = append(data, `,"tools":[`...)
		for i := range c.Tools {
			data = appendTool(appendComma(data, i), &c.Tools[i])
		}
		data = append(data, ']')
	}
	if len(c.Options) > 0 {
		data = appendOptions(append(data, `,"options":`...), c.Options)
	}
	if c.Think != nil {
		data = appendValue(append(data, `,"think":`...), c.Think)
	}
	if c.Truncate != nil {
		data = strconv.AppendBool(append(data, `,"truncate":`...), *c.Truncate)
	}
	if c.KeepAlive != nil {
		data = appendNumber(append(data, `,"keep_alive":`...), *c.KeepAlive)
	}
	if c.Logprobs {
		data = append(data, `,"logprobs":true`...)
	}
	if c.TopLogprobs != 0 {
		data = strconv.AppendInt(append(data, `,"top_logprobs":`...), c.TopLogprobs, 10)
	}
	return append(data, '}')
}

// appendTo writes the message with the fields that Ollama has, in its order.
func (m *message) appendTo(data []byte) []byte {
	data = appendText(append(data, `{"role":`...), m.role)
	data = append(append(data, `,"content":`...), m.content.JSON()...)
	if !m.thinking.Empty() {
		data = append(append(data, `,"thinking":`...), m.thinking...)
	}
	if len(m.images) > 0 {
		data = append(data, `,"images":[`...)
		for i, image := range m.images {
			data = appendText(appendComma(data, i), image)
		}
		data = append(data, ']')
	}
	if m.toolCalls != nil {
		data = append(append(data, `,"tool_calls":`...), m.toolCalls...)
	}
	if m.toolName != "" {
		data = appendText(append(data, `,"tool_name":`...), m.toolName)
	}
	if m.toolCallID != "" {
		data = appendText(append(data, `,"tool_call_id":`...), m.toolCallID)
	}
	return append(data, '}')
}

func appendTool(data []byte, tool *ollama.Tool) []byte {
	data = appendText(append(data, `{"type":`...), tool.Type)
	data = appendText(append(data, `,"function":{"name":`...), tool.Function.Name)
	if tool.Function.Description != "" {
		data = appendText(append(data, `,"description":`...), tool.Function.Description)
	}
	data = append(append(data, `,"parameters":`...), tool.Function.Parameters...)
	return append(data, `}}`...)
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
