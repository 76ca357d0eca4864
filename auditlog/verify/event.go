package verify

import (
	"bytes"
	"encoding/json"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"
)

// eventMark is in all lines that the log has written of itself. In a text that a client
// has sent its quotes would be escaped.
var eventMark = []byte(`"event.action":"audit-`)

// lookAtEvent repeats what the log has written of itself. When the gateway has found at
// its start that the log was changed, the chain goes on from there without a break: this
// line is all there is to see.
func (w *walker) lookAtEvent(l *item) {
	if !bytes.Contains(l.text, eventMark) {
		return
	}
	var event struct {
		Action string `json:"event.action"`
		Reason string `json:"event.reason"`
		Aside  string `json:"labels.aside"`
		Late   uint64 `json:"labels.late"`
		Lost   uint64 `json:"labels.lost"`
		Key    string `json:"labels.key_now"`
	}
	if json.Unmarshal(l.text, &event) != nil {
		return // it follows, so it was written so: by somebody else than the log itself
	}
	switch event.Action {
	case logfile.HeadMismatch:
		w.find(l, Told, "when it started, the gateway found the log changed: %s", event.Reason)
	case logfile.HeadKeyChanged:
		w.note(l, Told, "from here on the head is signed with another key: %s", orNone(event.Key))
	case logfile.LineCut:
		w.note(l, Told, "the log ended within a line before, as after a crash; what was there is in %s", event.Aside)
	case logfile.WriteResumed:
		w.note(l, Told, "before this the log could not be written (%s): %d lines came late, %d are lost", event.Reason, event.Late, event.Lost)
	case logfile.JournalUnreadable:
		w.note(l, Told, "a request was in flight when the gateway was killed, and nothing is known of it")
	case logfile.LineUnfit:
		w.note(l, Told, "something was logged that is no record: %s", event.Reason)
	}
}

func orNone(key string) string {
	if key == "" {
		return "none"
	}
	return key
}
