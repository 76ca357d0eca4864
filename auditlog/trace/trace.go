// Package trace tells the story of one conversation.
package trace

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/entry"
	"github.com/gateway18789/caddy-ollama/auditlog/visible"
)

// Story is a conversation: its requests, and what they come to.
type Story struct {
	Conversation string    `json:"conversation"`
	Requests     []Request `json:"requests"`
	Totals       Totals    `json:"totals"`
}

// Request is one request of it. Times are in seconds, null if there is none.
type Request struct {
	Time       time.Time `json:"time"`
	ID         string    `json:"request_id"`
	User       string    `json:"user,omitempty"`
	SourceIP   string    `json:"source_ip"`
	Operation  string    `json:"operation,omitempty"`
	Model      string    `json:"model,omitempty"`
	Status     int       `json:"status,omitempty"`
	Outcome    string    `json:"outcome"`
	Reason     string    `json:"reason"`
	Input      *int64    `json:"input_tokens"`
	Output     *int64    `json:"output_tokens"`
	Estimated  bool      `json:"usage_estimated"`
	FirstChunk *float64  `json:"time_to_first_chunk"`
	Duration   *float64  `json:"duration"`
	Stream     bool      `json:"stream"`
}

// Totals are sums over all requests.
type Totals struct {
	Requests int     `json:"requests"`
	Answered int     `json:"answered"`
	Refused  int     `json:"refused"`
	Failed   int     `json:"failed"`
	Unknown  int     `json:"unknown"`
	Input    int64   `json:"input_tokens"`
	Output   int64   `json:"output_tokens"`
	Duration float64 `json:"duration"`
	// Estimated counts requests whose tokens the upstream has not told: their input is
	// not in the sum.
	Estimated int `json:"usage_estimated"`
}

// New begins the story of a conversation.
func New(conversation string) *Story {
	return &Story{Conversation: conversation, Requests: []Request{}}
}

// Add takes a line's entry, if it is one of the conversation's requests.
func (s *Story) Add(e entry.Entry) {
	if e.Conversation != s.Conversation || !e.IsRequest() {
		return
	}
	s.Requests = append(s.Requests, Request{
		Time: e.Time, ID: e.RequestID, User: e.User, SourceIP: e.SourceIP,
		Operation: e.Operation, Model: e.Model, Status: e.Status, Outcome: e.Outcome, Reason: e.Reason,
		Input: e.Input, Output: e.Output, Estimated: e.Estimated,
		FirstChunk: seconds(e.FirstChunk), Duration: seconds(e.Duration), Stream: e.Stream,
	})
	s.Totals.add(e)
}

func (t *Totals) add(e entry.Entry) {
	t.Requests++
	switch e.Kind() {
	case entry.Answered:
		t.Answered++
	case entry.Refused:
		t.Refused++
	case entry.Failed:
		t.Failed++
	case entry.Unknown:
		t.Unknown++
	}
	if e.Input != nil {
		t.Input += *e.Input
	}
	if e.Output != nil {
		t.Output += *e.Output
	}
	if e.Estimated {
		t.Estimated++
	}
	t.Duration += e.Duration.Seconds()
}

// Sort puts the requests into the order in which they came.
func (s *Story) Sort() {
	slices.SortStableFunc(s.Requests, func(a, b Request) int { return a.Time.Compare(b.Time) })
}

func seconds(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}

// WriteJSON writes the story as JSON, in which nothing hides.
func (s *Story) WriteJSON(w io.Writer) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = w.Write(append(visible.Append(nil, text), '\n'))
	return err
}

// longestCell keeps what a client has sent from spoiling the table.
const longestCell = 64

// WriteTable writes the story as a table.
func (s *Story) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "time\trequest\tuser\tmodel\tstatus\treason\tin\tout\tfirst chunk\tduration\tstream")
	for _, r := range s.Requests {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.Time.Format("2006-01-02 15:04:05.000Z"), visible.Cell(r.ID, 2*longestCell), cell(r.User), cell(r.Model),
			status(r.Status), cell(r.Reason), tokens(r.Input, false), tokens(r.Output, r.Estimated),
			clock(r.FirstChunk), clock(r.Duration), yes(r.Stream))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	t := s.Totals
	_, err := fmt.Fprintf(w, "\n%d requests: %d answered, %d refused, %d failed, %d unknown; tokens %d in, %d out; %.3fs\n",
		t.Requests, t.Answered, t.Refused, t.Failed, t.Unknown, t.Input, t.Output, t.Duration)
	if err == nil && t.Estimated > 0 {
		_, err = fmt.Fprintf(w, "~ of %d requests the output was counted from the stream, and the input is not known\n", t.Estimated)
	}
	return err
}

func cell(text string) string {
	if text == "" {
		return "-"
	}
	return visible.Cell(text, longestCell)
}

func status(code int) string {
	if code == 0 {
		return "-"
	}
	return strconv.Itoa(code)
}

func tokens(n *int64, estimated bool) string {
	switch {
	case n == nil:
		return "-"
	case estimated:
		return fmt.Sprintf("~%d", *n)
	default:
		return strconv.FormatInt(*n, 10)
	}
}

func clock(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return fmt.Sprintf("%.3fs", *seconds)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
