package chain

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Line is a sealed line taken apart.
type Line struct {
	// Link is what the line says of its place.
	Link
	// body is the line up to its hash member, without the closing brace.
	body []byte
}

// Parse takes a sealed line apart, with or without its line break. The Line holds on to
// the bytes. That they are JSON is not looked at: whether they are those that were
// sealed is what Follows tells.
func Parse(line []byte) (Line, error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	body := len(line) - len(hashKey) - 2*len(Hash{}) - len(hashEnd)
	if body < 1 || line[0] != '{' || !bytes.HasPrefix(line[body:], []byte(hashKey)) || !bytes.HasSuffix(line, []byte(hashEnd)) {
		return Line{}, errors.New("the line does not end with event.hash")
	}
	h, err := ParseHash(string(line[body+len(hashKey) : len(line)-len(hashEnd)]))
	if err != nil {
		return Line{}, fmt.Errorf("event.hash: %w", err)
	}
	at := bytes.LastIndex(line[:body], []byte(sequenceKey))
	if at < 0 {
		return Line{}, errors.New("the line has no event.sequence before its event.hash")
	}
	digits := string(line[at+len(sequenceKey) : body])
	sequence, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || digits[0] == '0' {
		return Line{}, fmt.Errorf("event.sequence is %q, no number of a line", digits)
	}
	return Line{Link{sequence, h}, line[:body]}, nil
}

// What Follows finds.
var (
	// ErrSequence: lines are missing, were added or moved.
	ErrSequence = errors.New("wrong event.sequence")
	// ErrHash: this line or the one before was changed.
	ErrHash = errors.New("wrong event.hash")
)

// Follows tells whether the line is unchanged and comes after the line at previous.
func (l Line) Follows(previous Link) error {
	if l.Sequence != previous.Sequence+1 {
		return fmt.Errorf("%w: %d where %d should be", ErrSequence, l.Sequence, previous.Sequence+1)
	}
	if l.HashAfter(previous.Hash) != l.Hash {
		return fmt.Errorf("%w: line %d is not the one that was written after line %d",
			ErrHash, l.Sequence, previous.Sequence)
	}
	return nil
}

// HashAfter is the hash the line should have if the line before it has the given one.
func (l Line) HashAfter(previous Hash) Hash {
	canonical := make([]byte, 0, 1024)
	canonical = append(canonical, l.body...)
	return hash(previous, append(canonical, '}'))
}
