package translate

import (
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// appendOptions writes options in the order of their names, so that the same options
// are the same text.
func appendOptions(data []byte, options map[string]any) []byte {
	var several [24]string // more than there are
	names := several[:0]
	for name := range options {
		names = append(names, name)
	}
	slices.Sort(names)
	data = append(data, '{')
	for i, name := range names {
		data = appendText(appendComma(data, i), name)
		data = appendValue(append(data, ':'), options[name])
	}
	return append(data, '}')
}

// appendValue writes the value of an option.
func appendValue(data []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendText(data, v)
	case int64:
		return strconv.AppendInt(data, v, 10)
	case float64:
		return appendNumber(data, v)
	case bool:
		return strconv.AppendBool(data, v)
	default: // lists, and what Caddy's JSON has
		return append(data, encoded(v)...)
	}
}

// appendNumber writes a number as JavaScript does, as far as it matters: a whole one
// that is not too large has neither point nor exponent.
func appendNumber(data []byte, f float64) []byte {
	format := byte('f')
	if size := math.Abs(f); size >= 1e21 || size < 1e-6 && size != 0 {
		format = 'e'
	}
	return strconv.AppendFloat(data, f, format, -1, 64)
}

func appendText(data []byte, text string) []byte {
	data, _ = jsontext.AppendQuote(data, text) // invalid UTF-8 is replaced
	return data
}
