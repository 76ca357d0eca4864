package ecs

import "strings"

// tree holds the fields of one log entry: names as a tree, each once, with values
// that are JSON already. It can be written nested or with dotted names.
type tree struct {
	nodes  []node // the first is the root
	values []byte
	size   int // of the line at most, however it is written
	// truncated says that something had no room in the line.
	truncated bool
	// sequence is the node of event.sequence, which is written last and with its dot;
	// 0 if there is none.
	sequence int
}

// node is a name. It has a value, or nodes below it, or neither if it is only a place
// for a value that may come; then it is not written.
type node struct {
	name              string
	first, last, next int32 // nodes below and beside; 0: none
	above             int32
	from, to          int32 // its value
	filled            bool  // it, or a node below it, has a value
	plain             bool  // its name needs no escapes
}

const (
	// maxLine bounds a line, in bytes, with all that audit_file adds to it.
	maxLine = 64 << 10
	// reserve is what audit_file adds (a sequence and a hash), and the flag that says
	// that a line was cut.
	reserve = 512
	// maxString bounds one text, so that it leaves room for other fields.
	maxString = 16 << 10
	// shortest is the least room that a value needs to be begun; no number is longer.
	shortest = 64
	// perName is what a name takes in a line besides itself: quotes, colon, comma and
	// braces.
	perName = 6
)

func (t *tree) reset() {
	t.nodes, t.values = append(t.nodes[:0], node{}), t.values[:0]
	t.size, t.truncated, t.sequence = reserve, false, 0
}

func (t *tree) copy(from *tree) {
	t.nodes, t.values = append(t.nodes[:0], from.nodes...), append(t.values[:0], from.values...)
	t.size, t.truncated, t.sequence = from.size, from.truncated, from.sequence
}

// room is how many bytes a value may have under a name; with 0 it has no place. Names
// count as if they were written both nested and dotted.
func (t *tree) room(prefix, name string) int {
	free := maxLine - t.size - 2*escapedLength(prefix) - 2*escapedLength(name) - perName*(strings.Count(name, ".")+4)
	if free < shortest {
		return 0
	}
	return min(free, maxString)
}

// find finds the node of a dotted name below another, or makes it.
func (t *tree) find(at int, name string) int {
	for name != "" {
		var part string
		part, name, _ = strings.Cut(name, ".")
		if part != "" { // Elasticsearch refuses names with nothing between two dots
			at = t.below(at, part)
		}
	}
	return at
}

func (t *tree) below(at int, name string) int {
	for i := t.nodes[at].first; i != 0; i = t.nodes[i].next {
		if t.nodes[i].name == name {
			return int(i)
		}
	}
	if n := t.nodes[at]; n.to > n.from { // a value must move down
		t.nodes[at].from, t.nodes[at].to = 0, 0
		value := t.add(at, "value")
		t.size += len(".value")
		t.nodes[value].from, t.nodes[value].to, t.nodes[value].filled = n.from, n.to, true
		if name == "value" {
			return value
		}
	}
	return t.add(at, name)
}

func (t *tree) add(at int, name string) int {
	i := int32(len(t.nodes))
	length := escapedLength(name)
	t.nodes = append(t.nodes, node{name: name, above: int32(at), plain: length == len(name)})
	t.size += length + perName
	if parent := &t.nodes[at]; parent.first == 0 {
		parent.first, parent.last = i, i
	} else {
		t.nodes[parent.last].next = i
		parent.last = i
	}
	return int(i)
}

// fill gives a node the value that was appended to values from there on. One that it
// had is replaced; so no name stands twice in a line.
func (t *tree) fill(at, from int) {
	if t.nodes[at].first != 0 { // there are names below this one
		at = t.below(at, "value")
		t.size += len(".value")
	}
	t.size += len(t.values) - from
	t.nodes[at].from, t.nodes[at].to = int32(from), int32(len(t.values))
	for !t.nodes[at].filled {
		t.nodes[at].filled = true
		at = int(t.nodes[at].above)
	}
}

// has reports whether a node has a value, or names below it.
func (t *tree) has(at int) bool { return t.nodes[at].filled }

// escapedLength is how many bytes a name takes at most.
func escapedLength(name string) int {
	if isPlain(name) {
		return len(name)
	}
	return 6 * len(name)
}

// append writes the line.
func (t *tree) append(out []byte, nested bool) []byte {
	if nested {
		out = t.appendNested(append(out, '{'), 0)
	} else {
		out = t.appendDotted(append(out, '{'), make([]byte, 0, 256), 0)
	}
	if n := &t.nodes[t.sequence]; n.to > n.from {
		out = append(comma(out), `"event.sequence":`...)
		out = append(out, t.values[n.from:n.to]...)
	}
	return append(out, '}')
}

// appendNested writes what is below a node as members of a JSON object.
func (t *tree) appendNested(out []byte, at int) []byte {
	for i := t.nodes[at].first; i != 0; {
		n := &t.nodes[i]
		switch {
		case !n.filled:
		case n.first != 0:
			out = append(n.appendMember(out, int(i)), '{')
			out = append(t.appendNested(out, int(i)), '}')
		case int(i) != t.sequence:
			out = append(n.appendMember(out, int(i)), t.values[n.from:n.to]...)
		}
		i = n.next
	}
	return out
}

// appendDotted writes what is below a node as members whose names begin with prefix.
func (t *tree) appendDotted(out, prefix []byte, at int) []byte {
	for i := t.nodes[at].first; i != 0; {
		n := &t.nodes[i]
		switch {
		case !n.filled:
		case n.first != 0:
			out = t.appendDotted(out, append(n.appendName(prefix), '.'), int(i))
		case int(i) != t.sequence:
			out = append(append(comma(out), '"'), prefix...)
			out = append(n.appendName(out), '"', ':')
			out = append(out, t.values[n.from:n.to]...)
		}
		i = n.next
	}
	return out
}

// appendMember begins the member of a node.
func (n *node) appendMember(out []byte, at int) []byte {
	out = comma(out)
	if at < len(quoted) {
		return append(out, quoted[at]...)
	}
	return append(n.appendName(append(out, '"')), '"', ':')
}

// comma begins a member, if it is not the first.
func comma(out []byte) []byte {
	if out[len(out)-1] != '{' {
		return append(out, ',')
	}
	return out
}

// appendName writes the name without quotes.
func (n *node) appendName(out []byte) []byte {
	if n.plain {
		return append(out, n.name...)
	}
	text, _ := appendString(nil, n.name, maxLine)
	return append(out, text[1:len(text)-1]...)
}
