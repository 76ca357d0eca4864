// Package strictjson reads JSON that others have written, of which every reader must
// learn the same.
package strictjson

import (
	"errors"

	"github.com/go-json-experiment/json"
)

// MaxDepth bounds how deep what is read may nest.
const MaxDepth = 8

// Unmarshal reads one JSON value into v. Unlike encoding/json, the decoder refuses
// duplicate names and invalid UTF-8 and takes names literally: there, `"EXP"` or a
// second `exp` overrides the first. Errors may repeat what was read.
func Unmarshal(data []byte, v any) error {
	if tooDeep(data) {
		return errors.New("it nests too deep")
	}
	return json.Unmarshal(data, v)
}

// tooDeep counts brackets outside of strings. Up to where the JSON is wrong, which
// json.Unmarshal will find, that is the depth.
func tooDeep(data []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++ // the character after it ends no string
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
