package openai

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// members reads an object and has read take the value of each of its names, which are in
// quotes; null is an object without any.
func members(dec *jsontext.Decoder, read func(name []byte) error) error {
	if null, err := open(dec, '{'); null || err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := read(canonical(name)); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// elements reads a list and has read take each of its elements; null is a list without
// any.
func elements(dec *jsontext.Decoder, read func() error) error {
	if null, err := open(dec, '['); null || err != nil {
		return err
	}
	for dec.PeekKind() != ']' {
		if err := read(); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// open reads the bracket, or null.
func open(dec *jsontext.Decoder, bracket jsontext.Kind) (null bool, err error) {
	switch dec.PeekKind() {
	case bracket, 'n':
		token, err := dec.ReadToken()
		return token.Kind() == 'n', err
	}
	return false, mistyped(dec)
}

// canonical is a name with no escapes that it does not need.
func canonical(name jsontext.Value) []byte {
	if bytes.IndexByte(name, '\\') < 0 {
		return name
	}
	return TextOf(Text(name).String())
}

// usual are strings that nearly every request has.
var usual = func() map[string]string {
	all := make(map[string]string)
	for _, text := range []string{"system", "developer", "user", "assistant", "tool", "text", "image_url"} {
		all[`"`+text+`"`] = text
	}
	return all
}()

// readString reads a string, or null.
func readString(dec *jsontext.Decoder, into *string) error {
	var text Text
	if err := text.UnmarshalJSONFrom(dec); err != nil {
		return err
	}
	var known bool
	if *into, known = usual[string(text)]; !known {
		*into = text.String()
	}
	return nil
}

// mistyped reads a value that is not of the type that is wanted.
func mistyped(dec *jsontext.Decoder) error {
	if err := dec.SkipValue(); err != nil {
		return err
	}
	return wrongType(dec)
}

// wrongType is the error of the value that was read last.
func wrongType(dec *jsontext.Decoder) error {
	return &json.SemanticError{JSONPointer: dec.StackPointer(), Err: errors.New("wrong type")}
}
