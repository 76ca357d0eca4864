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
			fmt.Fprintf(w, "\n%s\t\tmedian\tmin … max\tto stock\tmin … max\n", r.Scenario)
		}
		name := ""
		if r.Scenario != last.Scenario || r.Measure != last.Measure {
			name = r.Measure + ", " + r.Unit
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s … %s", name, r.Target, number(r.Value.Median), number(r.Value.Min), number(r.Value.Max))
		if r.Ratio != nil {
			fmt.Fprintf(w, "\t%.2f ×\t%.2f … %.2f\n", r.Ratio.Median, r.Ratio.Min, r.Ratio.Max)
		} else {
			fmt.Fprint(w, "\t\t\n") // else the columns would not hold together
		}
		last = r
	}
	_ = w.Flush()
	return trailing.ReplaceAllString(out.String(), "")
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
