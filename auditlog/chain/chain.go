// Package chain holds the rules by which the lines of an audit log are tied to each
// other, so that nobody can change, remove, add or move one without it showing.
//
// Every line is a JSON object whose last two members are its number and its hash:
//
//	{…,"event.sequence":7,"event.hash":"<64 lower-case hex digits>"}
//
// The number counts the lines of the log, from 1 and without gaps, over all its files.
// The hash is SHA-256 over the hash of the line before (32 bytes; zeros before the first
// line) followed by the line itself without its hash member and without its line break.
//
// What the chain alone cannot show is that its end is missing. That is what a Head is
// for: it says, signed, how far the log had come.
package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Hash is the hash of a line.
type Hash [sha256.Size]byte

// String is the hash as lines have it: 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads what String has written.
func ParseHash(s string) (h Hash, err error) {
	if len(s) != hex.EncodedLen(len(h)) {
		return Hash{}, fmt.Errorf("a hash has %d hexadecimal digits, not %d", hex.EncodedLen(len(h)), len(s))
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Hash{}, fmt.Errorf("a hash has lower-case hexadecimal digits, not %q", c)
		}
	}
	_, err = hex.Decode(h[:], []byte(s))
	return h, err
}

// Link is a place in the chain: a line's number and hash. The zero Link is the place
// before the first line.
type Link struct {
	Sequence uint64
	Hash     Hash
}

const (
	sequenceName = `"event.sequence":`
	sequenceKey  = `,` + sequenceName
	hashKey      = `,"event.hash":"`
	hashEnd      = `"}`
)

// Seal appends to dst the line that comes after l, line break included, and returns its
// place. The line is a JSON object without line breaks except at its end. A number that
// it has already, the process's own count, gives way to the log's.
func (l Link) Seal(dst, line []byte) (sealed []byte, next Link, err error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if err := checkObject(line); err != nil {
		return dst, l, err
	}
	start := len(dst)
	dst, err = appendWithoutSequence(dst, line)
	if err != nil {
		return dst[:start], l, err
	}
	dst = dst[:len(dst)-1] // the closing brace
	if len(bytes.TrimSpace(dst[start:])) == 1 {
		return dst[:start], l, errors.New("an empty object is no record")
	}
	next.Sequence = l.Sequence + 1
	dst = append(dst, sequenceKey...)
	dst = strconv.AppendUint(dst, next.Sequence, 10)
	dst = append(dst, '}')
	next.Hash = hash(l.Hash, dst[start:])

	dst = append(dst[:len(dst)-1], hashKey...)
	dst = hex.AppendEncode(dst, next.Hash[:])
	dst = append(dst, hashEnd...)
	return append(dst, '\n'), next, nil
}

// lenient lets pass what encoding/json does: the log refuses no record for what others may
// read in different ways.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

func checkObject(line []byte) error {
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' || !jsontext.Value(line).IsValid(lenient...) {
		return errors.New("the line is no JSON object: use format json or ecs")
	}
	if bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 {
		return errors.New("the JSON object is broken into lines: use format json or ecs")
	}
	return nil
}

// appendWithoutSequence appends the object but for its number. Where the name of that
// stands between a brace or comma and a colon it is a key: in a string its quotes
// would be escaped.
func appendWithoutSequence(dst, object []byte) ([]byte, error) {
	at := sequenceAt(object)
	if at < 1 || object[at-1] != '{' && object[at-1] != ',' {
		return append(dst, object...), nil
	}
	end := at + len(sequenceName)
	for object[end] >= '0' && object[end] <= '9' {
		end++
	}
	switch {
	case end == at+len(sequenceName), object[end] != ',' && object[end] != '}':
		return dst, errors.New("event.sequence is no whole number")
	case object[at-1] == ',':
		at--
	case object[end] == ',':
		end++
	}
	dst = append(dst, object[:at]...)
	return append(dst, object[end:]...), nil
}

// sequenceAt is where the name of the number is, -1 if nowhere. It is looked for at the end
// first, where format ecs has it: what has so many quotes is slow to search.
func sequenceAt(object []byte) int {
	const longest = len(sequenceName) + len("18446744073709551615}")
	end := max(0, len(object)-longest)
	if at := bytes.Index(object[end:], []byte(sequenceName)); at >= 0 {
		return end + at
	}
	return bytes.Index(object, []byte(sequenceName))
}

func hash(previous Hash, canonical []byte) (h Hash) {
	digest := sha256.New()
	digest.Write(previous[:])
	digest.Write(canonical)
	digest.Sum(h[:0])
	return h
}
