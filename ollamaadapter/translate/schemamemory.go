package translate

import (
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// schemas remembers what became of tools' schemas: an agent sends the same ones with
// each request, and to rewrite one takes a hundred times as long as to find it.
var schemas schemaMemory

const (
	// largestSchema is the size of the largest schema that is remembered, in bytes.
	largestSchema = 16 << 10
	// mostSchemas bounds what is remembered, in bytes. When it is full all is forgotten:
	// what is in use is soon there again.
	mostSchemas = 4 << 20
)

// schemaMemory is safe for use by several goroutines.
type schemaMemory struct {
	mu    sync.Mutex
	known map[schemaKey]rewritten
	size  int
}

type schemaKey struct {
	dialect    SchemaDialect
	parameters string
}

// rewritten is what toolSchema returns.
type rewritten struct {
	schema jsontext.Value // must not be changed
	notes  string
}

// rewrite is toolSchema.
func (m *schemaMemory) rewrite(parameters jsontext.Value, dialect SchemaDialect) (schema jsontext.Value, notes string, err error) {
	m.mu.Lock()
	found, ok := m.known[schemaKey{dialect, string(parameters)}]
	m.mu.Unlock()
	if ok {
		return found.schema, found.notes, nil
	}
	if schema, notes, err = toolSchema(parameters, dialect); err == nil && len(parameters) <= largestSchema {
		m.remember(schemaKey{dialect, string(parameters)}, rewritten{schema, notes})
	}
	return schema, notes, err
}

func (m *schemaMemory) remember(key schemaKey, r rewritten) {
	const entry = 200 // what an entry costs besides
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.known[key]; ok {
		return // somebody was faster
	}
	size := len(key.parameters) + cap(r.schema) + len(r.notes) + entry
	if m.known == nil || m.size+size > mostSchemas {
		m.known, m.size = make(map[schemaKey]rewritten), 0
	}
	m.known[key] = r
	m.size += size
}
