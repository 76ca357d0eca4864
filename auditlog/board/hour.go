package board

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

const (
	// Minutes is how far back is counted.
	Minutes = 60
	// mostNames is how many users, models and reasons are told apart: clients can invent
	// any number.
	mostNames = 20
	// Other is what the rest is called, and what nobody vouches for.
	Other = "other"
)

// hour is what the last hour came to, minute by minute. A request counts when it has ended.
type hour struct {
	users, models, reasons table
	first                  [Minutes]waits
}

// waits is how long clients waited for the first word of a stream, in one minute.
type waits struct {
	minute        int64
	count         int
	sum, greatest time.Duration
}

// count counts a request that has just ended.
func (h *hour) count(rec *record.Record) {
	minute := minuteOf(rec.Start.Add(rec.Duration))
	tokens := 0
	if u := rec.Usage; u != nil {
		tokens = max(0, u.InputTokens) + max(0, u.OutputTokens)
	}
	h.users.add(short(rec.UserID), minute, tokens)
	if model := modelOf(rec); model != "" {
		h.models.add(model, minute, tokens)
	}
	reason, _, _ := strings.Cut(rec.Reason, ":")
	h.reasons.add(short(reason), minute, tokens)
	if wait := rec.TimeToFirstChunk; wait > 0 {
		w := &h.first[minute%Minutes]
		if w.minute != minute {
			*w = waits{minute: minute}
		}
		w.count++
		w.sum += wait
		w.greatest = max(w.greatest, wait)
	}
}

// modelOf is the name by which a request counts: one that exists, as far as can be told.
func modelOf(rec *record.Record) string {
	if rec.Reason == record.ModelNotFound {
		return Other
	}
	return short(cmp.Or(rec.ResponseModel, rec.RequestModel))
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// table counts by name.
type table struct {
	rows  map[string]*row
	other row
}

// row is the counts of one name, minute by minute; which minute a place holds, it says.
type row struct {
	latest   int64
	requests [Minutes]tally
	tokens   [Minutes]tally
}

type tally struct {
	minute int64
	n      int
}

func (t *table) add(name string, minute int64, tokens int) {
	r := t.row(name, minute)
	r.latest = max(r.latest, minute)
	r.requests[minute%Minutes].add(minute, 1)
	r.tokens[minute%Minutes].add(minute, tokens)
}

// row is where a name counts. One that has not been heard of for an hour makes room.
func (t *table) row(name string, minute int64) *row {
	if r := t.rows[name]; r != nil {
		return r
	}
	if name == Other {
		return &t.other
	}
	if len(t.rows) >= mostNames {
		for old, r := range t.rows {
			if r.latest <= minute-Minutes {
				delete(t.rows, old)
			}
		}
	}
	if len(t.rows) >= mostNames {
		return &t.other
	}
	if t.rows == nil {
		t.rows = make(map[string]*row)
	}
	r := new(row)
	t.rows[name] = r
	return r
}

func (t *tally) add(minute int64, n int) {
	if t.minute != minute {
		*t = tally{minute: minute}
	}
	t.n += n
}

// Hour is what the last hour came to. Its lists have one number for each minute, the
// oldest first; the last is that of the minute that is not over yet.
type Hour struct {
	Minute     int64    `json:"minute"` // the last one's number: minutes since 1970
	Users      []Series `json:"users"`
	Models     []Series `json:"models"`
	Reasons    []Series `json:"reasons"`
	FirstChunk Waits    `json:"first_chunk"`
}

// Series is the counts of one name; of users an empty one for those who are not known.
type Series struct {
	Name     string `json:"name"`
	Requests []int  `json:"requests"`
	Tokens   []int  `json:"tokens"`
}

// Waits is the time to the first chunk of streams, in s: its mean, and the longest.
type Waits struct {
	Mean    []float64 `json:"mean"`
	Longest []float64 `json:"longest"`
}

// Hour is what the hour until now came to.
func (b *Board) Hour(now time.Time) Hour {
	b.mu.Lock()
	defer b.mu.Unlock()
	minute := minuteOf(now)
	h := Hour{
		Minute: minute, Users: b.hour.users.series(minute), Models: b.hour.models.series(minute),
		Reasons:    b.hour.reasons.series(minute),
		FirstChunk: Waits{Mean: make([]float64, Minutes), Longest: make([]float64, Minutes)},
	}
	for i := range Minutes {
		m := minute - Minutes + 1 + int64(i)
		if w := b.hour.first[m%Minutes]; w.minute == m && w.count > 0 {
			h.FirstChunk.Mean[i] = w.sum.Seconds() / float64(w.count)
			h.FirstChunk.Longest[i] = w.greatest.Seconds()
		}
	}
	return h
}

// series is the counts of those that had any, the busiest first, the rest last.
func (t *table) series(minute int64) []Series {
	all := []Series{}
	for name, r := range t.rows {
		if s, total := r.series(name, minute); total > 0 {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Series) int {
		return cmp.Or(cmp.Compare(sum(b.Requests), sum(a.Requests)), strings.Compare(a.Name, b.Name))
	})
	if s, total := t.other.series(Other, minute); total > 0 {
		all = append(all, s)
	}
	return all
}

func (r *row) series(name string, minute int64) (s Series, requests int) {
	s = Series{name, make([]int, Minutes), make([]int, Minutes)}
	for i := range Minutes {
		m := minute - Minutes + 1 + int64(i)
		s.Requests[i] = r.requests[m%Minutes].in(m)
		s.Tokens[i] = r.tokens[m%Minutes].in(m)
		requests += s.Requests[i]
	}
	return s, requests
}

func (t tally) in(minute int64) int {
	if t.minute != minute {
		return 0
	}
	return t.n
}

func sum(numbers []int) (total int) {
	for _, n := range numbers {
		total += n
	}
	return total
}
