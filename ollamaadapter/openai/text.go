package openai

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Text is a JSON string as its sender wrote it, quotes and escapes included: most
// texts are passed on and need not be read. Nil is no text, or null.
type Text jsontext.Value

// TextOf writes s as JSON.
func TextOf(s string) Text {
	text, _ := jsontext.AppendQuote(nil, s) // invalid UTF-8 is replaced
	return text
}

// UnmarshalJSONFrom takes the string as a piece of the bytes that are decoded. They
// must not change from then on; a Decoder that reads from an io.Reader would do that.
func (t *Text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	switch {
	case err != nil:
		return err
	case value.Kind() == 'n':
		*t = nil
		return nil
	case value.Kind() != '"':
		return wrongType(dec)
	}
	*t = Text(value)
	return nil
}

// String is what the text says.
func (t Text) String() string {
	if inner := t.Unquoted(); bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	return string(t.AppendTo(nil))
}

// AppendTo appends what the text says.
func (t Text) AppendTo(data []byte) []byte {
	inner := t.Unquoted()
	if bytes.IndexByte(inner, '\\') < 0 {
		return append(data, inner...)
	}
	data, _ = jsontext.AppendUnquote(data, t) // valid: it was decoded
	return data
}

// Unquoted is what stands between the quotes, escapes included.
func (t Text) Unquoted() []byte {
	if t == nil {
		return nil
	}
	return t[1 : len(t)-1]
}

// JSON is the text as a JSON string; no text is an empty one.
func (t Text) JSON() jsontext.Value {
	if t == nil {
		return jsontext.Value(`""`)
	}
	return jsontext.Value(t)
}

// Empty reports whether there is nothing in the text.
func (t Text) Empty() bool { return len(t) <= len(`""`) }

// Join is strings.Join for texts. What stands between the quotes of each stays as
// it is.
func Join(texts []Text, separator string) Text {
	if len(texts) == 1 {
		return texts[0]
	}
	contents := make([][]byte, len(texts))
	for i, t := range texts {
		contents[i] = t.Unquoted()
	}
	joined := append([]byte(`"`), bytes.Join(contents, TextOf(separator).Unquoted())...)
	return append(joined, '"')
}
