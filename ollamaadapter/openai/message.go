package openai

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Messages are a conversation. They are read by hand, for they are nearly all of a
// request: json needs nearly twice the time for them.
type Messages []Message

// UnmarshalJSONFrom reads a list, or null.
func (m *Messages) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return elements(dec, func() error {
		if *m == nil {
			*m = make(Messages, 0, 2) // what a first question has
		}
		*m = append(*m, Message{})
		return (*m)[len(*m)-1].UnmarshalJSONFrom(dec)
	})
}

// Message is one message of a conversation.
type Message struct {
	Role       string
	Content    Content
	ToolCalls  []ToolCall
	ToolCallID string
	Name       string
	// FunctionCall is what there was before ToolCalls.
	FunctionCall *FunctionCall
	// Reasoning of an earlier answer, under both names that clients send it back.
	Reasoning, ReasoningContent Text
}

// UnmarshalJSONFrom reads an object, or null.
func (m *Message) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return members(dec, func(name []byte) error {
		switch string(name) {
		case `"role"`:
			return readString(dec, &m.Role)
		case `"content"`:
			return m.Content.UnmarshalJSONFrom(dec)
		case `"tool_calls"`:
			return json.UnmarshalDecode(dec, &m.ToolCalls)
		case `"tool_call_id"`:
			return readString(dec, &m.ToolCallID)
		case `"name"`:
			return readString(dec, &m.Name)
		case `"function_call"`:
			return json.UnmarshalDecode(dec, &m.FunctionCall)
		case `"reasoning"`:
			return m.Reasoning.UnmarshalJSONFrom(dec)
		case `"reasoning_content"`:
			return m.ReasoningContent.UnmarshalJSONFrom(dec)
		default:
			return dec.SkipValue()
		}
	})
}

// Content is a message's content: a string, null, or an array of parts.
type Content struct {
	Text  Text
	Parts []Part
}

// UnmarshalJSONFrom reads any of the three forms.
func (c *Content) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '[' {
		return c.Text.UnmarshalJSONFrom(dec)
	}
	c.Parts = []Part{} // not nil: that would be no list
	return elements(dec, func() error {
		c.Parts = append(c.Parts, Part{})
		return c.Parts[len(c.Parts)-1].UnmarshalJSONFrom(dec)
	})
}

// Part is one part of a message's content.
type Part struct {
	Type     string
	Text     Text
	Refusal  Text
	ImageURL ImageURL
	Audio    Audio
}

// UnmarshalJSONFrom reads an object, or null.
func (p *Part) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return members(dec, func(name []byte) error {
		switch string(name) {
		case `"type"`:
			return readString(dec, &p.Type)
		case `"text"`:
			return p.Text.UnmarshalJSONFrom(dec)
		case `"refusal"`:
			return p.Refusal.UnmarshalJSONFrom(dec)
		case `"image_url"`:
			return json.UnmarshalDecode(dec, &p.ImageURL)
		case `"input_audio"`:
			return json.UnmarshalDecode(dec, &p.Audio)
		default:
			return dec.SkipValue()
		}
	})
}

// Audio is sound in base64.
type Audio struct {
	Data   string `json:"data"`
	Format string `json:"format"`
}

// ImageURL is an image: `{"url": …}`, or the bare URL that some clients send.
type ImageURL struct {
	URL string
}

// UnmarshalJSONFrom reads both forms.
func (u *ImageURL) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		return json.UnmarshalDecode(dec, &u.URL)
	}
	var object struct {
		URL string `json:"url"`
	}
	err := json.UnmarshalDecode(dec, &object)
	u.URL = object.URL
	return err
}
