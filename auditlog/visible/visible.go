// Package visible makes text safe to print: nothing in it controls the terminal, turns
// the direction of writing or hides.
package visible

import (
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Append appends text to dst. What cannot be seen is escaped as in JSON, so that JSON
// stays the JSON it was. A byte that is no UTF-8 becomes U+FFFD.
func Append(dst, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case unicode.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
	}
	return dst
}

// Text is a text made safe.
func Text(text string) string { return string(Append(nil, []byte(text))) }

// Cell is a text made safe that is no longer than so many characters.
func Cell(text string, longest int) string {
	shown := []rune(Text(text))
	if len(shown) > longest {
		return string(shown[:longest-1]) + "…"
	}
	return string(shown)
}
