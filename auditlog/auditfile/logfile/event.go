package logfile

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gateway18789/caddy-ollama/auditlog/timestamp"
)

// Actions of the log's own lines, in event.action, besides the chain's opening lines.
const (
	// HeadMismatch: the file is not the one its head speaks of, or its chain is broken.
	HeadMismatch = "audit-head-mismatch"
	// HeadKeyChanged: the head is signed with another key from here on.
	HeadKeyChanged = "audit-head-key-changed"
	// LineCut: something that is no whole line was taken from the file's end.
	LineCut = "audit-line-cut"
	// JournalUnreadable: what is known of a request that was in flight is damaged.
	JournalUnreadable = "audit-journal-unreadable"
	// LineUnfit: the line that is the message is no JSON object.
	LineUnfit = "audit-line-unfit"
	// WriteResumed: the log could not be written for a while.
	WriteResumed = "audit-write-resumed"
)

// members are a JSON object in the making, in ASCII only: what a client may have put
// into a text plays no tricks with terminals.
type members []byte

func newMembers(at time.Time) members {
	return fmt.Appendf(nil, `{"@timestamp":%q,"event.kind":"event"`, timestamp.String(at))
}

func (m members) text(name, value string) members {
	if value == "" {
		return m
	}
	return append(append(append(append(m, ',', '"'), name...), '"', ':'), quoted(value)...)
}

func (m members) number(name string, value uint64) members {
	return fmt.Appendf(m, `,"%s":%d`, name, value)
}

func (m members) line() []byte { return append(m, '}') }

func quoted(s string) []byte {
	text, _ := json.Marshal(s) // a string never fails
	ascii := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case r < 0x7f:
			ascii = append(ascii, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			ascii = fmt.Appendf(ascii, `\u%04x\u%04x`, high, low)
		default:
			ascii = fmt.Appendf(ascii, `\u%04x`, r)
		}
	}
	return ascii
}

// event is a line of the log's own.
func event(action, reason string) members {
	return newMembers(time.Now()).text("event.action", action).text("event.reason", reason)
}

// keyChanged says that the head has another signature from here on.
func keyChanged(before, now string) []byte {
	return event(HeadKeyChanged, "sign_key").text("labels.key_before", before).text("labels.key_now", now).line()
}
