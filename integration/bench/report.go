package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// report is what a run found.
type report struct {
	Began      time.Time `json:"began"`
	Go         string    `json:"go"`
	Caddy      string    `json:"caddy"`
	Cores      int       `json:"cores"`
	LoadBefore string    `json:"load_average_before"`
	LoadAfter  string    `json:"load_average_after"`
	Others     float64   `json:"others"`   // part of the processors that went to all else
	Duration   string    `json:"duration"` // of each target in each round
	Rounds     int       `json:"rounds"`

	Rows  []row  `json:"summary"`
	Cells []cell `json:"turns"`
}

func newReport(o options, caddy string) *report {
	return &report{
		Began: time.Now().UTC(), Go: runtime.Version(), Caddy: caddy, Cores: runtime.NumCPU(),
		LoadBefore: loadAverage(), Duration: o.duration.String(), Rounds: o.rounds,
	}
}

// String is the report for people.
func (r *report) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\nCaddy %s, %s, %d cores, load average %s before and %s after, %d rounds of %s\n",
		r.Caddy, r.Go, r.Cores, r.LoadBefore, r.LoadAfter, r.Rounds, r.Duration)
	fmt.Fprintf(&out, "other programs had %.0f %% of the processors\n", 100*r.Others)
	out.WriteString(table(r.Rows))
	out.WriteString(goals(r.Rows))
	return out.String()
}

// write writes the files that have a name.
func (r *report) write(jsonFile, svgFile string) error {
	if jsonFile != "" {
		data, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(jsonFile, append(data, '\n'), 0o600); err != nil {
			return err
		}
	}
	if svgFile != "" {
		return os.WriteFile(svgFile, []byte(r.plot()), 0o600)
	}
	return nil
}

// plot draws added latency over load, of stock Caddy and the gateway.
func (r *report) plot() string {
	rates := make(map[string]float64)
	for _, c := range r.Cells {
		rates[c.Scenario] = c.Rate
	}
	var all []series
	for _, line := range []struct {
		target, color string
		measure       measure
		dashed        bool
	}{
		{stock, "#888888", addedP50, false},
		{ours, "#1f77b4", addedP50, false},
		{stock, "#888888", addedP99, true},
		{ours, "#1f77b4", addedP99, true},
	} {
		s := series{Name: line.target + " " + strings.TrimPrefix(line.measure.name, "added latency "), Dashed: line.dashed, Color: line.color}
		for _, row := range r.Rows {
			if rate := rates[row.Scenario]; rate > 0 && row.Target == line.target && row.Measure == line.measure.name {
				s.Points = append(s.Points, point{rate, row.Value.Median / 1000})
			}
		}
		all = append(all, s)
	}
	return plot("Latency that a gateway adds", "requests a second, open loop", "ms", all)
}
