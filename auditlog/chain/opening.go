package chain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/timestamp"
)

// Why a log's writer opened a file.
const (
	Created   = "created"   // the log begins
	Rotated   = "rotated"   // the log goes on in a new file
	Restarted = "restarted" // the log goes on in the same file, with a new writer
)

// openedAction is the event.action of an opening line.
const openedAction = "audit-file-opened"

// Opening is what the first line of every file says. It makes the rest of the file
// verifiable without the files before, which retention may have deleted.
type Opening struct {
	Time time.Time
	// Reason is Created, Rotated or Restarted.
	Reason string
	// Previous is the hash of the line before.
	Previous Hash
}

// Line is the opening as a line that Seal takes.
func (o Opening) Line() []byte {
	return fmt.Appendf(nil, `{"@timestamp":%q,"event.kind":"event","event.action":%q,"event.reason":%q,"labels.previous_hash":%q}`,
		timestamp.String(o.Time), openedAction, o.Reason, o.Previous)
}

// ParseOpening reads an opening line. Other lines are not ok.
func ParseOpening(line []byte) (o Opening, ok bool) {
	// Most lines are others. In a string the quotes would be escaped.
	if !bytes.Contains(line, []byte(`"event.action":"`+openedAction+`"`)) {
		return Opening{}, false
	}
	var fields struct {
		Time     time.Time `json:"@timestamp"`
		Action   string    `json:"event.action"`
		Reason   string    `json:"event.reason"`
		Previous string    `json:"labels.previous_hash"`
	}
	if json.Unmarshal(line, &fields) != nil || fields.Action != openedAction {
		return Opening{}, false
	}
	previous, err := ParseHash(fields.Previous)
	return Opening{fields.Time, fields.Reason, previous}, err == nil
}
