package token

import (
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gateway18789/caddy-ollama/jwtauth/strictjson"
)

// Claims are the statements of a verified token, by name.
type Claims map[string]any

// Subject is who the token speaks for.
func (c Claims) Subject() string {
	sub, _ := c["sub"].(string)
	return sub
}

// decodeStrictly reads one JSON object.
func decodeStrictly(data []byte) (map[string]any, bool) {
	var value any // for which the decoder needs no reflection
	if err := strictjson.Unmarshal(data, &value); err != nil {
		return nil, false
	}
	object, ok := value.(map[string]any)
	return object, ok
}

// date reads a NumericDate (RFC 7519 section 2). Outside of the years 2001 to
// 5138 it is taken for an error, such as milliseconds; so the arithmetic on it
// cannot overflow.
func (c Claims) date(name string) (t time.Time, present, valid bool) {
	value, present := c[name]
	if !present {
		return t, false, false
	}
	seconds, ok := value.(float64)
	if !ok || seconds < 1e9 || seconds > 1e11 {
		return t, true, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true, true
}

// speaksFor reports whether the claim, a string or an array of strings, names value.
func (c Claims) speaksFor(claim, value string) bool {
	switch v := c[claim].(type) {
	case string:
		return v == value
	case []any:
		for _, one := range v {
			if one == value {
				return true
			}
		}
	}
	return false
}

// plainName reports whether s can stand for somebody in a log line without deceiving
// its reader: nothing that controls, turns or breaks the text or cannot be seen, and
// no blanks around it.
func plainName(s string) bool {
	if s == "" || len(s) > 256 || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	return !strings.ContainsFunc(s, deceives)
}

func deceives(r rune) bool {
	if r < utf8.RuneSelf {
		return unicode.IsControl(r)
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}
