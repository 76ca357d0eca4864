package main

import (
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"
)

// table is the rows for people to read: a line for each, under a heading for each scenario.
func table(rows []row) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	last := row{}
	for _, r := range rows {
		if r.Scenario != last.Scenario {
			fmt.Fprintf(w, "\n%s\t\tmedian\tmin … max\tto stock\tmin … max\tgoal\n", r.Scenario)
		}
		name := ""
		if r.Scenario != last.Scenario || r.Measure != last.Measure {
			name = r.Measure + ", " + r.Unit
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s … %s\t", name, r.Target, number(r.Value.Median), number(r.Value.Min), number(r.Value.Max))
		// a cell that is left out would part the columns
		if r.Ratio != nil {
			fmt.Fprintf(w, "%.2f ×\t%.2f … %.2f\t", r.Ratio.Median, r.Ratio.Min, r.Ratio.Max)
		} else {
			fmt.Fprint(w, "\t\t")
		}
		if r.Verdict != nil {
			fmt.Fprint(w, r.Verdict)
		}
		fmt.Fprintln(w)
		last = r
	}
	_ = w.Flush()
	return trailing.ReplaceAllString(out.String(), "")
}

// goals is the rows that have one, for those who want to know but that: the gateway's,
// and what the rig can tell apart.
func goals(rows []row) string {
	return goalsOf(ours, "the gateway's goals", rows) +
		goalsOf(stockSame, "what the rig is to tell apart", rows)
}

func goalsOf(target, title string, rows []row) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	met, all := 0, 0
	for _, r := range rows {
		if r.Verdict == nil || r.Target != target {
			continue
		}
		all++
		if r.Verdict.Met {
			met++
		}
		ratio := ""
		if r.Ratio != nil {
			ratio = fmt.Sprintf("%.2f ×", r.Ratio.Median)
		}
		fmt.Fprintf(w, "  %s: %s\t%s %s\t%s\t%s\n", r.Scenario, r.Measure, number(r.Value.Median), r.Unit, ratio, r.Verdict)
	}
	if all == 0 {
		return ""
	}
	_ = w.Flush()
	return fmt.Sprintf("\n%s: %d of %d met\n%s", title, met, all, out.String())
}

var trailing = regexp.MustCompile(`(?m) +$`)

// number has three digits that count.
func number(v float64) string {
	switch size := max(v, -v); {
	case size >= 100:
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
