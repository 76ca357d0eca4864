package translate

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// isSet reports whether a value is there and not null.
func isSet(v jsontext.Value) bool {
	return len(v) > 0 && v.Kind() != 'n'
}

// index names an element of a list as OpenAI does: messages[0].
func index(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func missing(param string) error { return openai.FieldError(param, openai.CodeMissing, "missing") }

func invalid(param, message string) error {
	return openai.FieldError(param, openai.CodeInvalidValue, message)
}

func wrongType(param string) error {
	return openai.FieldError(param, openai.CodeInvalidType, "wrong type")
}

func unsupported(param, message string) error {
	return openai.FieldError(param, openai.CodeUnsupported, message)
}
