package translate

import (
	"bytes"
	"unicode/utf8"
)

// Nearly all lines of a stream are of one form, in which only the texts differ:
//
//	{"model":"…","created_at":"…","message":{"role":"assistant","content":"…"},"done":false}
//	{"model":"…","created_at":"…","message":{"role":"assistant","content":"","thinking":"…"},"done":false}
//	{"model":"…","created_at":"…","response":"…","done":false}
//	{"model":"…","created_at":"…","response":"","thinking":"…","done":false}
//
// Their texts are copied, escapes and all, into an answer of which everything else is
// known. A line in any other form, be it by a blank, is decoded.

// plain is a line of that form, or one that begins so. Its texts are as they are escaped
// in JSON, and such that they may stand in a server-sent event.
type plain struct {
	line                     []byte
	model, content, thinking []byte
	state                    []byte // what follows the texts
}

// unheeded are the texts that may stand behind the model's name and say nothing to us.
var unheeded = []string{`,"remote_model":"`, `,"remote_host":"`, `,"created_at":"`}

// goesOn reports whether the line adds one text, and says nothing else.
func (p *plain) goesOn() bool {
	return string(p.state) == `"done":false}` && (len(p.content) == 0) != (len(p.thinking) == 0)
}

// plainLine takes a line apart if it begins so.
func plainLine(line []byte) (p plain, ok bool) {
	at := scanner{rest: line}
	p.line = line
	if !at.skip(`{"model":"`) || !at.take(&p.model) {
		return p, false
	}
	for _, name := range unheeded {
		if at.skip(name) && !at.take(nil) {
			return p, false
		}
	}
	end := `},`
	if !at.skip(`,"message":{"role":"assistant","content":"`) {
		if !at.skip(`,"response":"`) {
			return p, false
		}
		end = `,`
	}
	if !at.take(&p.content) || at.skip(`,"thinking":"`) && !at.take(&p.thinking) {
		return p, false
	}
	ok = at.skip(end)
	p.state = at.rest
	return p, ok
}

// scanner is what is left of a line.
type scanner struct{ rest []byte }

// skip skips what the rest begins with.
func (s *scanner) skip(beginning string) bool {
	if len(s.rest) < len(beginning) || string(s.rest[:len(beginning)]) != beginning {
		return false
	}
	s.rest = s.rest[len(beginning):]
	return true
}

// take takes a JSON string's content, up to its closing quote, and puts it into
// content if that is not nil. It gives up on what would have to be changed:
// surrogates, invalid UTF-8, and the two line breaks of JavaScript.
func (s *scanner) take(content *[]byte) bool {
	ascii := true
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case ordinary[c]:
		case c == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			if content != nil {
				*content = text
			}
			return ascii || plainUTF8(text)
		case c == '\\':
			n := plainEscape(s.rest[i:])
			if n == 0 {
				return false
			}
			i += n - 1
		case c < utf8.RuneSelf:
			return false // a control character
		default:
			ascii = false
		}
	}
	return false
}

// ordinary are the bytes that stand for themselves in a JSON string of ASCII.
var ordinary = func() (is [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()

// plainEscape is the length of the escape that s begins with; 0 if it is none, or
// one half of a surrogate pair.
func plainEscape(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) < 6 || !isHex(s[2]) || !isHex(s[3]) || !isHex(s[4]) || !isHex(s[5]) {
			return 0
		}
		if (s[2] == 'd' || s[2] == 'D') && s[3] >= '8' {
			return 0
		}
		return 6
	}
	return 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func plainUTF8(s []byte) bool {
	return utf8.Valid(s) && !bytes.Contains(s, []byte("\u2028")) && !bytes.Contains(s, []byte("\u2029"))
}
