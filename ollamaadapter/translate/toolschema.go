package translate

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// SchemaDialect is how much of a tool's schema an Ollama understands.
type SchemaDialect struct {
	TypeLists      bool // `"type": ["string", "null"]`; before 0.6.6 a 400
	AnyOf          bool // since 0.11.3
	NestedRequired bool // `required` of an object within an object, since 0.20.0
}

// maxSchemaNodes bounds a schema after its references are put in place: a few
// lines of them can stand for billions.
const maxSchemaNodes = 5_000

var errSchemaTooLarge = errors.New("the schema is too large or refers to itself too often")

// toolSchema rewrites the parameters of a tool so that an Ollama's lossy reading
// of them (api.ToolFunctionParameters and api.ToolProperty) loses nothing: it
// reads type, items, description, enum, properties, required and anyOf, and drops
// every other keyword without a word. So references are put in place, oneOf
// becomes anyOf, const becomes enum, allOf is merged, and what is left over is
// told in the description, which the model reads as well as any keyword. The
// outermost schema has no description that Ollama reads: what would stand there is
// returned as notes, for the function's own.
func toolSchema(parameters jsontext.Value, dialect SchemaDialect) (schema jsontext.Value, notes string, err error) {
	decoded, err := decodeOrdered(parameters)
	if err != nil {
		return nil, "", err
	}
	root, ok := decoded.(object)
	if !ok {
		return nil, "", errors.New("the schema is no object")
	}
	r := resolver{root: root}
	resolved, ok := r.resolve(root, nil).(object)
	if r.nodes > maxSchemaNodes || !ok {
		return nil, "", errSchemaTooLarge
	}
	f := folder{dialect}
	out := f.fold(resolved, "", true)
	if _, ok := out.get("type"); !ok {
		out = append(object{{"type", "object"}}, out...)
	}
	if _, ok := out.get("properties"); !ok {
		out.set("properties", object{})
	}
	notes = out.text("description")
	out.remove("description")
	return encodeOrdered(out), notes, nil
}

// resolver puts referenced schemas in place of their references.
type resolver struct {
	root  object
	nodes int
}

// resolve returns a schema, or a list of some, with its references replaced. path
// holds those that are being replaced: one that comes again is a recursion and is
// only named.
func (r *resolver) resolve(value any, path []string) any {
	if r.nodes++; r.nodes > maxSchemaNodes {
		return value
	}
	switch v := value.(type) {
	case object:
		if ref := v.text("$ref"); ref != "" {
			return r.dereference(v, ref, path)
		}
		out := make(object, 0, len(v))
		for _, m := range v {
			switch m.name {
			case "$defs", "definitions":
				continue // put in place where they are used
			case "properties", "patternProperties", "dependentSchemas":
				m.value = r.resolveNamed(m.value, path)
			case "default", "const", "enum", "examples", "required":
				// values, whatever they look like
			default:
				m.value = r.resolve(m.value, path)
			}
			out = append(out, m)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = r.resolve(v[i], path)
		}
		return out
	default:
		return value
	}
}

// resolveNamed does the same for schemas by names of the schema's author.
func (r *resolver) resolveNamed(value any, path []string) any {
	named, ok := value.(object)
	if !ok {
		return value
	}
	out := make(object, len(named))
	for i, m := range named {
		out[i] = member{m.name, r.resolve(m.value, path)}
	}
	return out
}

func (r *resolver) dereference(from object, ref string, path []string) any {
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	target, found := r.lookup(ref)
	if !found || slices.Contains(path, ref) {
		out := slices.Clone(from)
		out.remove("$ref")
		if targetType, ok := target.get("type"); ok {
			out.set("type", targetType)
		}
		describe(&out, "the same as "+name)
		return out
	}
	out, ok := r.resolve(target, append(slices.Clip(path), ref)).(object)
	if !ok {
		return from
	}
	out = slices.Clone(out)
	for _, m := range from { // what stands beside a reference goes before what it names
		if m.name != "$ref" {
			out.set(m.name, r.resolve(m.value, path))
		}
	}
	return out
}

// lookup follows a reference within the schema, such as #/$defs/City.
func (r *resolver) lookup(ref string) (object, bool) {
	pointer, local := strings.CutPrefix(ref, "#")
	if !local {
		return nil, false
	}
	var value any = r.root
	for token := range jsontext.Pointer(pointer).Tokens() {
		o, ok := value.(object)
		if !ok {
			return nil, false
		}
		if value, ok = o.get(token); !ok {
			return nil, false
		}
	}
	o, ok := value.(object)
	return o, ok
}

// folder makes of each schema what its dialect can read.
type folder struct{ dialect SchemaDialect }

// fold rewrites one schema; name is the property it is of, root the outermost.
func (f folder) fold(in object, name string, root bool) object {
	in = f.merge(in)
	var out object
	var notes []string
	note := func(m member) { notes = append(notes, m.name+": "+string(encodeOrdered(m.value))) }
	for _, m := range in {
		switch m.name {
		case "description", "items":
			out.set(m.name, m.value)
		case "enum":
			if root {
				note(m)
			} else {
				out.set(m.name, m.value)
			}
		case "const":
			out.set("enum", []any{m.value})
		case "type":
			f.foldType(&out, m.value, note)
		case "nullable":
			note(m)
		case "properties":
			out.set(m.name, f.foldProperties(m.value))
		case "required":
			if root || f.dialect.NestedRequired {
				out.set(m.name, m.value)
			} else {
				note(m)
			}
		case "anyOf", "oneOf":
			if root || !f.dialect.AnyOf {
				note(m)
			} else {
				out.set("anyOf", f.foldAll(m.value))
			}
		case "title":
			if !strings.EqualFold(strings.NewReplacer(" ", "", "_", "").Replace(in.text("title")), strings.ReplaceAll(name, "_", "")) {
				note(m)
			}
		case "additionalProperties", "unevaluatedProperties":
			// models fill in what they see; only what else they may add is news
			if o, ok := m.value.(object); ok && len(o) > 0 {
				note(m)
			}
		case "$schema", "$id", "$comment", "$anchor", "strict":
		default:
			note(m)
		}
	}
	if len(notes) > 0 {
		describe(&out, strings.Join(notes, "; "))
	}
	return out
}

// foldType writes a type, or several as far as they are understood.
func (f folder) foldType(out *object, value any, note func(member)) {
	list, several := value.([]any)
	if !several || f.dialect.TypeLists || len(list) == 0 {
		out.set("type", value)
		return
	}
	out.set("type", list[0])
	for _, one := range list {
		if raw, ok := one.(jsontext.Value); ok && string(raw) != `"null"` {
			out.set("type", one)
			break
		}
	}
	note(member{"type", value})
}

func (f folder) foldProperties(value any) any {
	properties, ok := value.(object)
	if !ok {
		return object{}
	}
	out := make(object, 0, len(properties))
	for _, p := range properties {
		out = append(out, member{p.name, f.foldAny(p.value, p.name)})
	}
	return out
}

func (f folder) foldAll(value any) any {
	list, ok := value.([]any)
	if !ok {
		return []any{}
	}
	out := make([]any, len(list))
	for i := range list {
		out[i] = f.foldAny(list[i], "")
	}
	return out
}

// foldAny folds a schema that may be a boolean, which Ollama answers 400 to.
func (f folder) foldAny(value any, name string) any {
	if o, ok := value.(object); ok {
		return f.fold(o, name, false)
	}
	if raw, ok := value.(jsontext.Value); ok && raw.Kind() == 'f' {
		return object{{"description", "must be left out"}}
	}
	return object{} // anything goes
}

// merge takes the parts of an allOf into the schema itself: properties and
// required names add up, of anything else the first holds.
func (f folder) merge(in object) object {
	value, ok := in.get("allOf")
	if !ok {
		return in
	}
	out := slices.Clone(in)
	out.remove("allOf")
	parts, _ := value.([]any)
	for _, part := range parts {
		p, ok := part.(object)
		if !ok {
			continue
		}
		for _, m := range f.merge(p) {
			have, present := out.get(m.name)
			switch {
			case !present:
				out.set(m.name, m.value)
			case m.name == "properties":
				out.set(m.name, mergeObjects(have, m.value))
			case m.name == "required":
				out.set(m.name, mergeLists(have, m.value))
			case string(encodeOrdered(have)) != string(encodeOrdered(m.value)):
				describe(&out, "also "+m.name+": "+string(encodeOrdered(m.value)))
			}
		}
	}
	return out
}

func mergeObjects(a, b any) any {
	into, _ := a.(object)
	from, _ := b.(object)
	out := slices.Clone(into)
	for _, m := range from {
		if _, present := out.get(m.name); !present {
			out.set(m.name, m.value)
		}
	}
	return out
}

func mergeLists(a, b any) any {
	into, _ := a.([]any)
	from, _ := b.([]any)
	return append(slices.Clone(into), from...)
}

// describe adds a note to a schema's description.
func describe(o *object, note string) {
	text := o.text("description")
	if text != "" {
		text += " "
	}
	o.set("description", text+"("+note+")")
}
