package translate

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object that keeps the order of its names: models are shown
// schemas and arguments as text, and order tells them what matters.
type object []member

// member is a name and its value: object, []any, string, or a jsontext.Value for
// whatever was decoded and is neither of the first two.
type member struct {
	name  string
	value any
}

func (o object) get(name string) (any, bool) {
	for i := range o {
		if o[i].name == name {
			return o[i].value, true
		}
	}
	return nil, false
}

// set replaces the value of a name, or adds the name at the end.
func (o *object) set(name string, value any) {
	for i := range *o {
		if (*o)[i].name == name {
			(*o)[i].value = value
			return
		}
	}
	*o = append(*o, member{name, value})
}

func (o *object) remove(name string) {
	*o = slices.DeleteFunc(*o, func(m member) bool { return m.name == name })
}

// text is the value of a name that is a string; else nothing.
func (o object) text(name string) string {
	value, _ := o.get(name)
	switch v := value.(type) {
	case string:
		return v
	case jsontext.Value:
		if v.Kind() == '"' {
			text, _ := jsontext.AppendUnquote(nil, v) // valid: it was decoded
			return string(text)
		}
	}
	return ""
}

// decodeOrdered reads one JSON value.
func decodeOrdered(data jsontext.Value, options ...jsontext.Options) (any, error) {
	return readOrdered(jsontext.NewDecoder(bytes.NewReader(data), options...))
}

func readOrdered(dec *jsontext.Decoder) (any, error) {
	switch dec.PeekKind() {
	case '{':
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		o := object{}
		for dec.PeekKind() != '}' {
			name, err := dec.ReadToken()
			if err != nil {
				return nil, err
			}
			m := member{name: name.String()} // before the next read changes the token
			if m.value, err = readOrdered(dec); err != nil {
				return nil, err
			}
			o = append(o, m)
		}
		_, err := dec.ReadToken()
		return o, err
	case '[':
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		list := []any{}
		for dec.PeekKind() != ']' {
			value, err := readOrdered(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := dec.ReadToken()
		return list, err
	default:
		value, err := dec.ReadValue()
		return value.Clone(), err
	}
}

// encodeOrdered writes what decodeOrdered has read.
func encodeOrdered(value any) jsontext.Value {
	return appendOrdered(nil, value)
}

func appendOrdered(data []byte, value any) []byte {
	switch v := value.(type) {
	case object:
		data = append(data, '{')
		for i, m := range v {
			if i > 0 {
				data = append(data, ',')
			}
			data = appendText(data, m.name)
			data = append(data, ':')
			data = appendOrdered(data, m.value)
		}
		return append(data, '}')
	case []any:
		data = append(data, '[')
		for i, element := range v {
			if i > 0 {
				data = append(data, ',')
			}
			data = appendOrdered(data, element)
		}
		return append(data, ']')
	case jsontext.Value:
		return append(data, v...)
	case string:
		return appendText(data, v)
	default:
		panic("not a JSON value of ours")
	}
}
