package chain

import (
	"bytes"
	"encoding/json"
	"testing"
)

// What encoding/json takes for an object is sealed, and nothing else; what is sealed
// is JSON still, and stands the test.
func FuzzSeal(f *testing.F) {
	for _, line := range []string{
		`{"a":1,"event.sequence":7}`, `{"event.sequence":7,"b":[{}]}`, `{"a":"\ud800","a":"` + "\xff" + `"}`,
		`{"a":1e999,"":-0.0}`, `{ "a" :	true }`, `{"a":01}`, `{"a":"\x"}`, `{"a":1,}`, "{\"a\":\"\x01\"}", "{\"a\":\r1}",
		`{"a":[1,-2.5e+3,"\u00fF\/\n",true,false,null,[],[[]],{}]}`, `{"a":[1 2]}`, `{"a":[1,]}`, `{"a" 1}`, `{a:1}`, `{"a":1}}`, `{"a":tru}`,
		`{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":"\u00g0"}`, `{"a":"\u00`, `{"a":"\`, `{"a":`, `{"a"`, `{"a":nul`, `{`, `{"a":[`, "{\r\n\"a\" :1 }",
		`{"event.sequence":7}`, `{"a":{"event.sequence":7}}`, `{}`, "{\"a\":\"\x7f\u2028\"}",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		text := bytes.TrimSuffix(line, []byte("\n"))
		fit := json.Valid(text) && text[0] == '{' && text[len(text)-1] == '}' && !bytes.ContainsAny(text, "\r\n")
		if err := checkObject(text); (err == nil) != fit {
			t.Fatalf("%q: %v", line, err)
		}
		sealed, next, err := Link{}.Seal(nil, line)
		if err != nil {
			return
		}
		if !fit || !json.Valid(sealed) {
			t.Fatalf("%q was sealed as %q", line, sealed)
		}
		if parsed, err := Parse(sealed); err != nil || parsed.Link != next || parsed.Follows(Link{}) != nil {
			t.Fatalf("%q: %v", sealed, err)
		}
	})
}
