package openai

import (
	"bytes"
	"errors"

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
		return errors.New("no string")
	}
	*t = Text(value)
	return nil
}

// String is what the text says.
func (t Text) String() string {
	text, _ := jsontext.AppendUnquote(nil, t.JSON()) // valid: it was decoded
	return string(text)
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
		contents[i] = unquoted(t)
	}
	joined := append([]byte(`"`), bytes.Join(contents, unquoted(TextOf(separator)))...)
	return append(joined, '"')
}

// unquoted is what stands between the quotes.
func unquoted(t Text) []byte {
	json := t.JSON()
	return json[1 : len(json)-1]
}
