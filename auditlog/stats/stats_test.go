package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/entry"
)

var begin = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)

func request(user, model string, at time.Duration, outcome string, status int, took time.Duration) entry.Entry {
	in, out := int64(10), int64(5)
	return entry.Entry{Time: begin.Add(at), RequestID: "r", Reason: "x", Outcome: outcome, Status: status,
		User: user, Model: model, Duration: took, Input: &in, Output: &out}
}

func table(t *testing.T, s *Stats) string {
	t.Helper()
	var b strings.Builder
	if err := s.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func count(o Options, entries ...entry.Entry) *Stats {
	if o.MaxGroups == 0 {
		o.MaxGroups = 100
	}
	s := New(o)
	for _, e := range entries {
		s.Add(e)
	}
	return s
}

func some() []entry.Entry {
	silent := request("b", "", 3*time.Hour, "failure", 401, 0)
	silent.Input, silent.Output = nil, nil
	crashed := request("b", "", 3*time.Hour, "unknown", 0, 0)
	crashed.Input, crashed.Output = nil, nil
	return []entry.Entry{
		request("b", "m", 0, "success", 200, time.Second),
		request("a", "m", time.Hour, "success", 200, 2*time.Second),
		request("a", "n", 10*time.Minute, "failure", 502, 3*time.Second),
		request("a", "n", 0, "failure", 200, 3*time.Second),
		request("a", "n", 0, "unknown", 499, 3*time.Second),
		silent, crashed,
		{Action: "audit-file-opened", Reason: "created", Time: begin},
	}
}

func TestTables(t *testing.T) {
	for _, test := range []struct {
		by   string
		want string
	}{
		{"user,model", `
user   model  requests  answered  refused  errors  unknown  in  out  p50   p95   p99
a      m      1         1         0        0       0        10  5    2s    2s    2s
a      n      3         0         0        2       1        30  15   3s    3s    3s
b      -      2         0         1        0       1        0   0    -     -     -
b      m      1         1         0        0       0        10  5    1s    1s    1s
total         7         2         1        2       2        50  25   3s    3s    3s
`},
		{"hour", `
hour               requests  answered  refused  errors  unknown  in  out  p50   p95   p99
2026-11-24T08:00Z  4         1         0        2       1        40  20   3s    3s    3s
2026-11-24T09:00Z  1         1         0        0       0        10  5    2s    2s    2s
2026-11-24T11:00Z  2         0         1        0       1        0   0    -     -     -
total              7         2         1        2       2        50  25   3s    3s    3s
`},
		{"", `
requests  answered  refused  errors  unknown  in  out  p50   p95   p99
7         2         1        2       2        50  25   3s    3s    3s
`},
	} {
		t.Run("by "+test.by, func(t *testing.T) {
			by, err := ParseBy(test.by)
			if err != nil {
				t.Fatal(err)
			}
			got := table(t, count(Options{By: by}, some()...))
			// durations are told to a percent; here only that they are in their columns
			if strip(got) != strip(test.want[1:]) {
				t.Errorf("got\n%swant\n%s", got, test.want[1:])
			}
		})
	}
}

// strip rounds durations to whole seconds and evens out blanks.
func strip(table string) string {
	fields := strings.Fields(table)
	for i, f := range fields {
		if d, err := time.ParseDuration(f); err == nil {
			fields[i] = d.Round(time.Second).String()
		}
	}
	return strings.Join(fields, " ")
}

func TestNothingHidesInATable(t *testing.T) {
	got := table(t, count(Options{By: []By{User}}, request("\x1b[2J\u202ex\n"+strings.Repeat("y", 99), "", 0, "success", 200, 1)))
	if !strings.Contains(got, `\u001b[2J\u202ex\u000ayyy`) || strings.Count(got, "\n") != 3 || !strings.Contains(got, "…") {
		t.Errorf("got\n%s", got)
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := count(Options{By: []By{User, Hour}}, some()...).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Groups []map[string]any
		Total  map[string]any
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Groups) != 4 || got.Groups[0]["user"] != "a" || got.Groups[0]["hour"] != "2026-11-24T08:00Z" || got.Groups[0]["model"] != nil {
		t.Errorf("groups: %v", got.Groups)
	}
	if p, ok := got.Total["duration_p99"].(float64); !ok || math.Abs(p-3) > 0.03 || got.Total["errors"] != 2.0 || got.Total["requests"] != 7.0 {
		t.Errorf("total: %v", got.Total)
	}
	if p := got.Groups[3]["duration_p50"]; p != nil {
		t.Errorf("no durations: %v", p)
	}
}

func TestOnlyTheTimeThatIsAskedFor(t *testing.T) {
	for _, test := range []struct {
		name         string
		since, until time.Duration
		want         uint64
	}{
		{"from the first on", 0, 5 * time.Hour, 7},
		{"later than the first", 1, 5 * time.Hour, 4},
		{"up to the last", 0, 3 * time.Hour, 5},
		{"up to and with the last", 0, 3*time.Hour + 1, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := count(Options{Since: begin.Add(test.since), Until: begin.Add(test.until)}, some()...)
			if got := s.total.Requests; got != test.want {
				t.Errorf("%d requests, want %d", got, test.want)
			}
		})
	}
}

// Names of models are the client's choice: they must not cost memory without end.
func TestGroupsAreBounded(t *testing.T) {
	s := New(Options{By: []By{Model}, MaxGroups: 3})
	for i := range 1000 {
		s.Add(request("u", fmt.Sprint("m", i%500), 0, "success", 200, time.Second))
	}
	groups := s.Groups()
	if len(groups) != 4 || groups[0].Requests != 2 || groups[3].Requests != 994 || s.total.Requests != 1000 {
		t.Errorf("groups: %+v", groups)
	}
	if got := table(t, s); !strings.Contains(got, "(others)") || !strings.Contains(s.TooMany(), "more than 3 groups") {
		t.Errorf("%s\n%s", got, s.TooMany())
	}
	if many := count(Options{By: []By{Model}}, some()...).TooMany(); many != "" {
		t.Errorf("there are not too many: %s", many)
	}
}

func TestParseByRefuses(t *testing.T) {
	for list, want := range map[string]string{"day": `"day"`, "user,user": "twice", "user;model": `"user;model"`} {
		if _, err := ParseBy(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", list, err)
		}
	}
}

// The promise of the documentation, for durations of all kinds.
func TestQuantilesAreWithinTheirPrecision(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 18789))
	for kind, draw := range map[string]func() time.Duration{
		"even":                 func() time.Duration { return time.Duration(random.Int64N(int64(time.Minute))) + time.Microsecond },
		"of all magnitudes":    func() time.Duration { return time.Duration(math.Exp(7 + 27*random.Float64())) },
		"like those of models": func() time.Duration { return time.Duration(1e9 * math.Exp(random.NormFloat64())) },
		"all the same":         func() time.Duration { return 1234567 * time.Nanosecond },
		"the shortest":         func() time.Duration { return time.Microsecond },
	} {
		for _, n := range []int{1, 2, 3, 99, 100, 10_000} {
			var h histogram
			var all []time.Duration
			for range n {
				d := draw()
				all = append(all, d)
				h.add(d)
			}
			slices.Sort(all)
			for _, q := range []float64{0.5, 0.95, 0.99, 1} {
				want := all[int(math.Ceil(q*float64(n)))-1]
				got := h.quantile(q)
				if off := math.Abs(float64(got-want)) / float64(want); off > Precision+0.001 && got-want > 2 {
					t.Errorf("%s, %d of them, p%g: %v is %.4f off %v", kind, n, q*100, got, off, want)
				}
			}
		}
	}
}

func TestAHistogramDoesNotGrowWithItsCounts(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("nothing has a quantile")
	}
	for _, d := range []time.Duration{0, 1, math.MaxInt64, time.Hour} {
		h.add(d)
	}
	if n := len(h.counts); n > 1400 {
		t.Errorf("%d buckets", n)
	}
	if got := h.quantile(1); got > longest+longest/50 {
		t.Errorf("the longest is %v", got)
	}
}
