package verify

import (
	"errors"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
	"github.com/gateway18789/caddy-ollama/auditlog/lines"
)

// item is a line on its way through the walker.
type item struct {
	file   string
	number int
	text   []byte
	kind   Kind  // what is wrong with it alone, empty if nothing
	fault  error // the same in words
	sealed chain.Line
	// opening is set if the line opens a file.
	opening *chain.Opening
}

// set makes the item one of a line, of which it keeps a copy.
func (i *item) set(line lines.Line) {
	*i = item{file: line.File, number: line.Number, text: append(i.text[:0], line.Text...)}
	switch i.fault = line.Fault; {
	case i.fault == nil:
		i.parse()
	case errors.Is(i.fault, lines.ErrUnfinished):
		i.kind = Unfinished
	case errors.Is(i.fault, lines.ErrDamaged):
		i.kind = Damaged
	default:
		i.kind = Foreign
	}
}

func (i *item) parse() {
	if i.sealed, i.fault = chain.Parse(i.text); i.fault != nil {
		i.kind = Foreign
		return
	}
	if opening, ok := chain.ParseOpening(i.text); ok {
		i.opening = &opening
	}
}

// provesItself tells whether the line is an opening that says itself what came before,
// and is as it was written.
func (i *item) provesItself() bool {
	return i.opening != nil && i.follows(i.opening.Previous)
}

// follows tells whether the line was written after one with the given hash, whatever
// its number.
func (i *item) follows(previous chain.Hash) bool {
	return i.sealed.HashAfter(previous) == i.sealed.Hash
}

func (i *item) finding(kind Kind, message string) Finding {
	if i == nil {
		return Finding{Kind: kind, Message: message}
	}
	return Finding{File: i.file, Line: i.number, Sequence: i.sealed.Sequence, Kind: kind, Message: message}
}
