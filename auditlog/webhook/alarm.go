package webhook

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/visible"
)

// alarm is what a receiver is sent of one event, as a JSON object.
type alarm struct {
	// Text is the event in one line, which Slack, Mattermost and their like show.
	Text string `json:"text"`
	// Event is its name, ID its own (the same however often it is sent), Origin the module
	// that it comes from, Gateway the host.
	Event   string    `json:"event"`
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Origin  string    `json:"origin,omitempty"`
	Gateway string    `json:"gateway,omitempty"`
	// Data are the event's fields: of our own events, those of the request's record.
	Data map[string]any `json:"data"`
}

// Bounds of an alarm. Our own events are far below.
const (
	mostFields  = 100
	mostItems   = 100
	longestText = 4096
	// longestFact is the most that the one line says of a field, in characters.
	longestFact = 200
)

// encode returns the alarm's JSON.
func (a alarm) encode(data map[string]any) ([]byte, error) {
	a.Data = make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if len(a.Data) == mostFields {
			break
		}
		if value, plain := plainly(data[name]); plain {
			a.Data[cut(name)] = value
		}
	}
	a.Text = line(a.Event, a.Data)
	return json.Marshal(a)
}

// plainly is a value that JSON has: a text, a number, a truth, a time or a list of those.
// Caddy's own events carry other things too, some of which are none of a receiver's
// business.
func plainly(value any) (any, bool) {
	switch v := value.(type) {
	case string:
		return cut(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, time.Time:
		return v, true
	case time.Duration:
		return v.String(), true
	case []string:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = item
		}
		return plainly(list)
	case []any:
		var list []any
		for _, item := range v[:min(len(v), mostItems)] {
			if _, nested := item.([]any); nested {
				continue
			}
			if item, plain := plainly(item); plain {
				list = append(list, item)
			}
		}
		return list, true
	}
	return nil, false
}

func cut(text string) string {
	if len(text) <= longestText {
		return text
	}
	return strings.ToValidUTF8(text[:longestText], "")
}

// facts are the fields that the one line tells, with the words for them. None is a text
// that anybody can write as he likes: they come from the gateway, from a certificate or
// from a token that was sound.
var facts = []struct{ field, words string }{
	{"event.reason", "%s"},
	{"client", "client %s"},
	{"cause", "for %s"},
	{"seconds", "for %s s"},
	{"server.address", "upstream %s"},
	{"error.message", "%s"},
	{"source.ip", "from %s"},
	{"user.id", "user %s"},
	{"tls.client.subject", "certificate %s"},
	{"http.request.id", "request %s"},
}

// line is the event in one line.
func line(event string, data map[string]any) string {
	var told []string
	for _, f := range facts {
		if value, has := data[f.field]; has {
			told = append(told, fmt.Sprintf(f.words, harmless(fmt.Sprint(value))))
		}
	}
	if len(told) == 0 {
		return harmless(event)
	}
	return harmless(event) + ": " + strings.Join(told, ", ")
}

// markup is what chat systems read as links, or as calls to everybody.
var markup = strings.NewReplacer("<", "‹", ">", "›", "&", "＆", "@", "＠")

func harmless(text string) string { return markup.Replace(visible.Cell(text, longestFact)) }
