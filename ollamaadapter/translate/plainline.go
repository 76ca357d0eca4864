package translate

import (
	"bytes"
	"unicode/utf8"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Nearly all lines of a stream are of one form, in which only the text differs:
//
//	{"model":"…","created_at":"…","message":{"role":"assistant","content":"…"},"done":false}
//	{"model":"…","created_at":"…","response":"…","done":false}
//
// Their text is copied, escapes and all, into an event of which everything else is
// known. A line in any other form, be it by a blank, is decoded.

// plainLine takes model and text out of a line of that form, as they are escaped.
// The text is such that it may stand in a server-sent event.
func plainLine(line []byte) (model, text []byte, ok bool) {
	line, ok = bytes.CutPrefix(line, []byte(`{"model":"`))
	if !ok {
		return nil, nil, false
	}
	if model, line, ok = plainString(line); !ok {
		return nil, nil, false
	}
	if line, ok = bytes.CutPrefix(line, []byte(`,"created_at":"`)); !ok {
		return nil, nil, false
	}
	if _, line, ok = plainString(line); !ok {
		return nil, nil, false
	}
	ending := `},"done":false}`
	rest, chat := bytes.CutPrefix(line, []byte(`,"message":{"role":"assistant","content":"`))
	if !chat {
		ending = `,"done":false}`
		if rest, ok = bytes.CutPrefix(line, []byte(`,"response":"`)); !ok {
			return nil, nil, false
		}
	}
	if text, rest, ok = plainString(rest); !ok || len(text) == 0 || string(rest) != ending {
		return nil, nil, false
	}
	return model, text, true
}

// plainString takes a JSON string's content off the beginning of s, up to its
// closing quote. It gives up on what would have to be changed: surrogates, invalid
// UTF-8, and the two line breaks of JavaScript.
func plainString(s []byte) (content, rest []byte, ok bool) {
	ascii := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			content = s[:i]
			return content, s[i+1:], ascii || plainUTF8(content)
		case c == '\\':
			n := plainEscape(s[i:])
			if n == 0 {
				return nil, nil, false
			}
			i += n - 1
		case c < ' ':
			return nil, nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return nil, nil, false
}

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

// template is an event but for the text in its midst.
type template struct{ before, after []byte }

// addPlain sends a text as it is escaped.
func (s *Stream) addPlain(escaped []byte) {
	if s.plain == nil {
		s.plain = s.template()
	}
	s.events.Write(s.plain.before)
	s.events.Write(escaped)
	s.events.Write(s.plain.after)
}

// template makes the template of this choice's events out of one that is made as
// all others are.
func (s *Stream) template() *template {
	mark := "\ue000" // which nothing behind the text has
	example := &Stream{id: s.id}
	example.choice = s.choice
	if s.form.Text {
		example.sendText(openai.TextChoice{Text: mark})
	} else {
		example.send(openai.ChunkChoice{Delta: openai.Delta{Content: &mark}})
	}
	event := example.events.Bytes()
	at := bytes.LastIndex(event, []byte(mark))
	return &template{before: event[:at], after: event[at+len(mark):]}
}
