package translate

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestToolSchemaLosesNothing(t *testing.T) {
	newest := SchemaDialect{TypeLists: true, AnyOf: true, NestedRequired: true}
	// within writes a property's schema into the parameters of a tool
	within := func(property string) string {
		return `{"type":"object","properties":{"p":` + property + `}}`
	}
	cases := []struct {
		name     string
		dialect  SchemaDialect
		in, want string
	}{
		{"what Ollama reads stays as it is, in its order", newest,
			`{"type":"object","properties":{"b":{"type":"string","description":"B."},"a":{"type":"integer","enum":[1,2]}},"required":["b"]}`,
			`{"type":"object","properties":{"b":{"type":"string","description":"B."},"a":{"type":"integer","enum":[1,2]}},"required":["b"]}`},
		{"an empty schema becomes one of an object", newest, `{}`, `{"type":"object","properties":{}}`},
		{"a reference is put in place", newest,
			`{"type":"object","properties":{"p":{"$ref":"#/$defs/City"}},"$defs":{"City":{"type":"string","description":"A city."}}}`,
			within(`{"type":"string","description":"A city."}`)},
		{"what stands beside a reference goes before what it names", newest,
			`{"type":"object","properties":{"p":{"$ref":"#/$defs/City","description":"Where to."}},"$defs":{"City":{"type":"string","description":"A city."}}}`,
			within(`{"type":"string","description":"Where to."}`)},
		{"a reference within items is put in place too", newest,
			`{"type":"object","properties":{"p":{"type":"array","items":{"$ref":"#/definitions/N"}}},"definitions":{"N":{"type":"number","minimum":1}}}`,
			within(`{"type":"array","items":{"type":"number","minimum":1}}`)},
		{"a schema that refers to itself ends", newest,
			`{"type":"object","properties":{"p":{"$ref":"#/$defs/Node"}},"$defs":{"Node":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"}}}}}`,
			within(`{"type":"object","properties":{"next":{"type":"object","description":"(the same as Node)"}}}`)},
		{"a reference to nowhere is named", newest, within(`{"$ref":"https://example.com/City"}`),
			within(`{"description":"(the same as City)"}`)},
		{"oneOf becomes anyOf", newest, within(`{"oneOf":[{"type":"string"},{"type":"integer","minimum":0}]}`),
			within(`{"anyOf":[{"type":"string"},{"type":"integer","description":"(minimum: 0)"}]}`)},
		{"const becomes enum", newest, within(`{"const":"celsius"}`), within(`{"enum":["celsius"]}`)},
		{"allOf is merged", newest,
			within(`{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]}`),
			within(`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","b"]}`)},
		{"allOf that disagrees with itself is told", newest, within(`{"type":"integer","allOf":[{"type":"number"}]}`),
			within(`{"type":"integer","description":"(also type: \"number\")"}`)},
		{"bounds, patterns, formats and defaults are told in the description", newest,
			within(`{"type":"string","description":"When.","format":"date","pattern":"^2","minLength":10,"default":"2026-01-01"}`),
			within(`{"type":"string","description":"When. (format: \"date\"; pattern: \"^2\"; minLength: 10; default: \"2026-01-01\")"}`)},
		{"a boolean schema, which Ollama answers 400 to, becomes an object", newest, within(`true`), within(`{}`)},
		{"a property that must not be there says so", newest, within(`false`), within(`{"description":"must be left out"}`)},
		{"additionalProperties false says nothing new", newest,
			`{"type":"object","properties":{},"additionalProperties":false}`, `{"type":"object","properties":{}}`},
		{"a title that repeats the name says nothing new", newest,
			`{"type":"object","properties":{"home_city":{"type":"string","title":"Home City"}}}`,
			`{"type":"object","properties":{"home_city":{"type":"string"}}}`},
		{"a title that says something is told", newest, within(`{"type":"string","title":"Celsius"}`),
			within(`{"type":"string","description":"(title: \"Celsius\")"}`)},
		{"several types stay, where they are understood", newest, within(`{"type":["string","null"]}`), within(`{"type":["string","null"]}`)},
		{"several types become one, where they would be a 400", SchemaDialect{}, within(`{"type":["null","string"]}`),
			within(`{"type":"string","description":"(type: [\"null\",\"string\"])"}`)},
		{"anyOf is told, where it would be dropped", SchemaDialect{TypeLists: true}, within(`{"anyOf":[{"type":"string"}]}`),
			within(`{"description":"(anyOf: [{\"type\":\"string\"}])"}`)},
		{"required of an object within is told, where it would be dropped", SchemaDialect{TypeLists: true, AnyOf: true},
			within(`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`),
			within(`{"type":"object","properties":{"a":{"type":"string"}},"description":"(required: [\"a\"])"}`)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := toolSchema(jsontext.Value(c.in), c.dialect)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("%s\nbecame %s\n want  %s", c.in, got, c.want)
			}
		})
	}
}

func TestToolSchemaTellsWhatTheOutermostSchemaSays(t *testing.T) {
	_, notes, err := toolSchema(jsontext.Value(`{"type":"object","description":"Where.","minProperties":1,"properties":{}}`), SchemaDialect{})
	if want := "Where. (minProperties: 1)"; err != nil || notes != want {
		t.Errorf("notes are %q (%v), want %q", notes, err, want)
	}
}

func TestToolSchemaRefusesABomb(t *testing.T) {
	// ten levels that each name the next one ten times
	defs := []string{`"d10":{"type":"string"}`}
	for _, level := range strings.Split("0123456789", "") {
		next := map[string]string{"9": "10"}[level]
		if next == "" {
			next = string(level[0] + 1)
		}
		var properties []string
		for _, p := range strings.Split("abcdefghij", "") {
			properties = append(properties, `"`+p+`":{"$ref":"#/$defs/d`+next+`"}`)
		}
		defs = append(defs, `"d`+level+`":{"type":"object","properties":{`+strings.Join(properties, ",")+`}}`)
	}
	bomb := `{"type":"object","properties":{"p":{"$ref":"#/$defs/d0"}},"$defs":{` + strings.Join(defs, ",") + `}}`
	if got, _, err := toolSchema(jsontext.Value(bomb), SchemaDialect{}); err == nil {
		t.Errorf("accepted, and became %d bytes", len(got))
	}
}

func FuzzToolSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"p":{"$ref":"#/$defs/A"}},"$defs":{"A":{"oneOf":[{"const":1},true]}}}`, true)
	f.Add(`{"allOf":[{"allOf":[{"required":["a"]}]}],"type":["string","null"],"description":7}`, false)
	f.Add(`{"$ref":"#"}`, true)
	f.Fuzz(func(t *testing.T, schema string, modern bool) {
		got, _, err := toolSchema(jsontext.Value(schema), SchemaDialect{modern, modern, modern})
		if err == nil && (!got.IsValid() || got.Kind() != '{') {
			t.Errorf("%s became %s", schema, got)
		}
	})
}
