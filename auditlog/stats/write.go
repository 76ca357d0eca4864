package stats

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/visible"
)

// others is the name of the groups that were too many.
const others = "(others)"

// longestCell keeps what a client has sent from spoiling the table.
const longestCell = 64

// WriteTable writes a table, one group a line, and all of them last.
func (s *Stats) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, by := range s.options.By {
		fmt.Fprintf(table, "%s\t", by)
	}
	fmt.Fprintln(table, "requests\tanswered\trefused\terrors\tunknown\tin\tout\tp50\tp95\tp99")
	row := func(key []string, g *Group) {
		for _, text := range key {
			if text == "" {
				text = "-"
			}
			fmt.Fprintf(table, "%s\t", visible.Cell(text, longestCell))
		}
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", g.Requests, g.Answered, g.Refused, g.Failed, g.Unknown,
			g.Input, g.Output, clock(g.Quantile(0.5)), clock(g.Quantile(0.95)), clock(g.Quantile(0.99)))
	}
	if len(s.options.By) > 0 {
		for _, g := range s.Groups() {
			key := g.Key
			if g == s.others {
				key = s.alone(others)
			}
			row(key, g)
		}
	}
	row(s.alone("total"), &s.total)
	return table.Flush()
}

// alone is a key with a word in its first column.
func (s *Stats) alone(word string) []string {
	key := make([]string, len(s.options.By))
	for i := range key {
		key[i] = " "
	}
	if len(key) > 0 {
		key[0] = word
	}
	return key
}

func clock(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	// three digits are more than the precision has
	unit := time.Microsecond
	for unit*1000 <= d {
		unit *= 10
	}
	return d.Round(unit).String()
}

// groupJSON is a group as JSON has it. Durations are in seconds, null if none is known.
type groupJSON struct {
	User     *string  `json:"user,omitempty"`
	Model    *string  `json:"model,omitempty"`
	Hour     *string  `json:"hour,omitempty"`
	Others   bool     `json:"others,omitempty"`
	Requests uint64   `json:"requests"`
	Answered uint64   `json:"answered"`
	Refused  uint64   `json:"refused"`
	Errors   uint64   `json:"errors"`
	Unknown  uint64   `json:"unknown"`
	Input    int64    `json:"input_tokens"`
	Output   int64    `json:"output_tokens"`
	P50      *float64 `json:"duration_p50"`
	P95      *float64 `json:"duration_p95"`
	P99      *float64 `json:"duration_p99"`
}

func (s *Stats) json(g *Group) groupJSON {
	j := groupJSON{
		Others: g == s.others, Requests: g.Requests, Answered: g.Answered, Refused: g.Refused, Errors: g.Failed, Unknown: g.Unknown,
		Input: g.Input, Output: g.Output,
		P50: seconds(g.Quantile(0.5)), P95: seconds(g.Quantile(0.95)), P99: seconds(g.Quantile(0.99)),
	}
	for i := range g.Key {
		switch s.options.By[i] {
		case User:
			j.User = &g.Key[i]
		case Model:
			j.Model = &g.Key[i]
		case Hour:
			j.Hour = &g.Key[i]
		}
	}
	return j
}

func seconds(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}

// WriteJSON writes one JSON object, in which nothing hides.
func (s *Stats) WriteJSON(w io.Writer) error {
	result := struct {
		Precision float64     `json:"duration_precision"`
		Groups    []groupJSON `json:"groups"`
		Total     groupJSON   `json:"total"`
	}{Precision, []groupJSON{}, s.json(&s.total)}
	if len(s.options.By) > 0 {
		for _, g := range s.Groups() {
			result.Groups = append(result.Groups, s.json(g))
		}
	}
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	_, err = w.Write(append(visible.Append(nil, text), '\n'))
	return err
}

// TooMany says what was not told apart, empty if all was.
func (s *Stats) TooMany() string {
	if s.others == nil {
		return ""
	}
	return fmt.Sprintf("there are more than %d groups: the requests of those that came later are under %s", s.options.MaxGroups, others)
}
