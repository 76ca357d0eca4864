package ecs

import (
	"strings"
	"unicode/utf8"
)

// spot is where a value goes.
type spot struct {
	node         int     // if it is there already
	prefix, name string  // or else its name, below another
	target       *target // what becomes of the value; nil: it stays as it is
}

// below is the name under which stands what ECS has no name for.
const below = "caddy"

// spot finds where a field goes; ok is false if it goes nowhere. A dotted name is one
// of ECS's, or one that was chosen for this log, and stays as it is.
func (e *entry) spot(key string, form form) (s *spot, ok bool) {
	if e.source == "" {
		if s := e.guess(key); s != nil && (s.target == nil || s.target.form == form) {
			return s, true
		}
	} else if s := known[e.source+key]; s != nil && s.target != nil && s.target.form == form {
		return s, true
	}
	if e.strict {
		return nil, false
	}
	if !utf8.ValidString(key) {
		key = strings.ToValidUTF8(key, "\ufffd") // else two names could become one when they are written
	}
	if key == "" || key[0] == '.' {
		key = "_" + key // which is nobody's name, but would else be none
	}
	switch {
	case e.source != "":
		e.unknown = spot{prefix: e.prefix, name: key}
	case strings.Contains(key, "."):
		e.unknown = spot{name: key}
	default:
		e.unknown = spot{prefix: below, name: key}
	}
	return &e.unknown, true
}

// guess finds what is known of a field, nil if it is nothing. Entries have mostly the
// same fields as those before them; so it is looked first where that field was then.
func (e *entry) guess(key string) *spot {
	if e.next == len(e.guesses) {
		return known[key]
	}
	g := &e.guesses[e.next]
	e.next++
	if g.key != key {
		g.key, g.spot = key, known[key]
	}
	return g.spot
}

// roomFor is how many bytes a value may have; 0: it has no place.
func (e *entry) roomFor(s *spot) (room int) {
	if s.node == 0 {
		room = e.room(s.prefix, s.name)
	} else if room = min(maxLine-e.size, maxString); room < shortest {
		room = 0
	}
	e.truncated = e.truncated || room == 0
	return room
}

// place is where a value of a few bytes goes; ok is false if it goes nowhere.
func (e *entry) place(key string, form form) (s *spot, ok bool) {
	s, ok = e.spot(key, form)
	return s, ok && e.roomFor(s) > 0
}

// put puts there what was appended to values from there on.
func (e *entry) put(s *spot, from int) {
	node := s.node
	if node == 0 {
		node = e.find(e.find(0, s.prefix), s.name)
		e.size += escapedLength(s.prefix) + escapedLength(s.name) + perName
	}
	e.fill(node, from)
}

// addText puts a text somewhere. An empty one says nothing, and Elasticsearch would
// refuse it as an address.
func (e *entry) addText(s *spot, value string) {
	if s.target != nil && s.target.rewrite != nil {
		value = s.target.rewrite(value)
	}
	if s.node == atSourceIP {
		e.unknown.node, value = sourceOf(value)
		s = &e.unknown
	}
	if value == "" {
		return
	}
	room := e.roomFor(s)
	if room == 0 {
		return
	}
	from := len(e.values)
	var cut bool
	e.values, cut = appendString(e.values, value, room)
	e.truncated = e.truncated || cut
	e.put(s, from)
}

// add puts a text in a place.
func (e *entry) add(at int, value string) { e.addText(&spot{node: at}, value) }

// suggest fills a place with a value, as JSON, if it has none.
func (e *entry) suggest(at int, value string) {
	if !e.has(at) {
		from := len(e.values)
		e.values = append(e.values, value...)
		e.fill(at, from)
	}
}

// relate lists in a place what another has for a value.
func (e *entry) relate(at, other int) {
	n := e.nodes[other]
	if n.to == n.from || e.has(at) || int(n.to-n.from) > maxLine-e.size {
		return
	}
	from := len(e.values)
	e.values = append(e.values, '[')
	e.values = append(append(e.values, e.values[n.from:n.to]...), ']')
	e.fill(at, from)
}
