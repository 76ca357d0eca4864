package translate

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func schemaOf(i int) jsontext.Value {
	return jsontext.Value(fmt.Sprintf(`{"type":"object","title":"T%d","properties":{"p":{"type":["string","null"],"anyOf":[{"const":%d}]}}}`, i, i))
}

// What is remembered of a schema is what would be made of it anew, in each dialect.
func TestARememberedSchemaIsTheOneThatWasMade(t *testing.T) {
	var m schemaMemory
	dialects := []SchemaDialect{{}, {TypeLists: true}, {AnyOf: true}, {NestedRequired: true}, {TypeLists: true, AnyOf: true, NestedRequired: true}}
	for range 3 {
		for i := range 3 {
			for _, dialect := range dialects {
				schema, notes, err := m.rewrite(schemaOf(i), dialect)
				wantSchema, wantNotes, wantErr := toolSchema(schemaOf(i), dialect)
				if string(schema) != string(wantSchema) || notes != wantNotes || err != nil || wantErr != nil {
					t.Errorf("%+v: %s, %q, %v; want %s, %q", dialect, schema, notes, err, wantSchema, wantNotes)
				}
			}
		}
	}
	if len(m.known) != 3*len(dialects) {
		t.Errorf("%d are remembered", len(m.known))
	}
}

// The body that a schema came in is used again for other things.
func TestARememberedSchemaIsNoPieceOfTheRequest(t *testing.T) {
	var m schemaMemory
	body := schemaOf(1)
	schema, _, err := m.rewrite(body, SchemaDialect{})
	want := string(schema)
	for i := range body {
		body[i] = 'x'
	}
	again, _, errAgain := m.rewrite(schemaOf(1), SchemaDialect{})
	if string(again) != want || err != nil || errAgain != nil {
		t.Errorf("got %s, %v, %v; want %s", again, err, errAgain, want)
	}
}

func TestBadSchemasAreNotRemembered(t *testing.T) {
	var m schemaMemory
	for range 2 {
		if _, _, err := m.rewrite(jsontext.Value(`[]`), SchemaDialect{}); err == nil {
			t.Error("a list is a schema")
		}
	}
	if len(m.known) != 0 {
		t.Errorf("remembered %v", m.known)
	}
}

func TestWhatIsRememberedOfSchemasIsBounded(t *testing.T) {
	var m schemaMemory
	long := jsontext.Value(`{"type":"object","description":"` + strings.Repeat("x", largestSchema) + `"}`)
	if _, _, err := m.rewrite(long, SchemaDialect{}); err != nil || len(m.known) != 0 {
		t.Errorf("%v, of a long one %d are remembered", err, len(m.known))
	}
	filler := strings.Repeat("x", largestSchema/2)
	for i := range 2 * mostSchemas / largestSchema {
		one := jsontext.Value(fmt.Sprintf(`{"type":"object","properties":{"p%d":{"description":%q}}}`, i, filler))
		if _, _, err := m.rewrite(one, SchemaDialect{}); err != nil {
			t.Fatal(err)
		}
		if m.size > mostSchemas {
			t.Fatalf("%d bytes are remembered", m.size)
		}
	}
	if len(m.known) == 0 {
		t.Error("nothing is remembered")
	}
}

func TestSchemasAreRememberedByManyAtOnce(t *testing.T) {
	var m schemaMemory
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 50 {
				schema, _, err := m.rewrite(schemaOf(i%5), SchemaDialect{})
				if want, _, _ := toolSchema(schemaOf(i%5), SchemaDialect{}); string(schema) != string(want) || err != nil {
					t.Errorf("got %s, %v; want %s", schema, err, want)
				}
			}
		})
	}
	all.Wait()
	total := 0
	for key, r := range m.known {
		total += len(key.parameters) + cap(r.schema) + len(r.notes) + 200
	}
	if len(m.known) != 5 || total != m.size {
		t.Errorf("%d are remembered, in %d bytes that count as %d", len(m.known), total, m.size)
	}
}
