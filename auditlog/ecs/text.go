package ecs

import "unicode/utf8"

const hex = "0123456789abcdef"

// plain are the characters of ASCII that stand for themselves in a JSON string.
var plain = func() (plain [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// appendString writes s as a JSON string of at most limit bytes, quotes included.
// What could move a terminal's cursor, break a line in some reader's eyes or turn the
// direction of writing is escaped; bytes that are no UTF-8 become U+FFFD. cut says
// that not all of s had room.
func appendString(out []byte, s string, limit int) (_ []byte, cut bool) {
	out = append(out, '"')
	if len(s) <= limit-2 && isPlain(s) { // as nearly all are
		out = append(out, s...)
		return append(out, '"'), false
	}
	room := limit - 2
	begin := 0 // of what is not written yet
	i := 0
	for i < len(s) {
		c := s[i]
		if plain[c] {
			if i-begin >= room {
				break
			}
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		cost := escapedSize(r, size)
		if i-begin+cost > room {
			break
		}
		if cost == size { // as it is
			i += size
			continue
		}
		room -= i - begin + cost
		out = append(out, s[begin:i]...)
		out = appendEscape(out, r)
		i += size
		begin = i
	}
	out = append(out, s[begin:i]...)
	return append(out, '"'), i < len(s)
}

func isPlain(s string) bool {
	for i := range len(s) {
		if !plain[s[i]] {
			return false
		}
	}
	return true
}

// escapedSize is how many bytes a character takes that has size bytes in UTF-8.
func escapedSize(r rune, size int) int {
	switch {
	case r == '"', r == '\\':
		return 2
	case r < ' ', 0x7f <= r && r <= 0x9f, // C0, DEL and C1
		r == 0x061c, r == 0x200e, r == 0x200f, // marks of direction
		0x2028 <= r && r <= 0x202e,       // separators of lines and paragraphs; embeddings and overrides
		0x2066 <= r && r <= 0x2069,       // isolates
		r == utf8.RuneError && size == 1: // no UTF-8
		return 6
	}
	return size
}

func appendEscape(out []byte, r rune) []byte {
	if r == '"' || r == '\\' {
		return append(out, '\\', byte(r))
	}
	return append(out, '\\', 'u', hex[r>>12&0xf], hex[r>>8&0xf], hex[r>>4&0xf], hex[r&0xf])
}
