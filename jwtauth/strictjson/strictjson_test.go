package strictjson_test

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/strictjson"
)

func TestUnmarshal(t *testing.T) {
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	for _, test := range []struct {
		name, json string
		accepted   bool
	}{
		{"eight levels", nested(8), true},
		{"nine levels", nested(9), false},
		{"a million levels", nested(1_000_000), false},
		{"eight levels, one after another", "[" + nested(7) + "," + nested(7) + "]", true},
		{"nine levels of objects", strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9), false},
		{"brackets in a string are no levels", `"` + strings.Repeat("[{", 9) + `"`, true},
		{"nor are they after a quotation mark in it", `"\"` + strings.Repeat("[{", 9) + `"`, true},
		{"nor in a name", `{"` + strings.Repeat("[{", 9) + `":1}`, true},
		{"nine levels after a string that ends with a backslash", `["\\",` + nested(8) + `]`, false},
		{"nine levels after a bracket too many", "]" + nested(9), false},
		{"a name twice", `{"a":1,"a":1}`, false},
		{"a name twice, spelled with an escape", `{"a":1,"\u0061":1}`, false},
		{"a name twice, further in", `{"a":[{"b":1,"b":1}]}`, false},
		{"a name in two spellings", `{"a":1,"A":1}`, true},
		{"invalid UTF-8", "\"\xff\"", false},
		{"a lone surrogate", `"\ud800"`, false},
		{"two values", `1 2`, false},
		{"nothing", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var v any
			if err := strictjson.Unmarshal([]byte(test.json), &v); (err == nil) != test.accepted {
				t.Errorf("got %v, want it accepted: %v", err, test.accepted)
			}
		})
	}
}

func TestNamesAreTakenLiterally(t *testing.T) {
	var v struct {
		Name string `json:"name"`
	}
	if err := strictjson.Unmarshal([]byte(`{"NAME":"a","Name":"b"}`), &v); err != nil || v.Name != "" {
		t.Errorf("got %q and %v", v.Name, err)
	}
}
