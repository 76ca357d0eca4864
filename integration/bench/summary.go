package main

import (
	"maps"
	"slices"
)

// The targets that others are compared with.
const (
	bare  = "bare"  // the upstream itself, without TLS
	stock = "stock" // Caddy's reverse_proxy
)

// row is a measure of a scenario at a target, over all rounds.
type row struct {
	Scenario string  `json:"scenario"`
	Measure  string  `json:"measure"`
	Unit     string  `json:"unit"`
	Target   string  `json:"target"`
	Value    *spread `json:"value"`
	// Ratio to stock Caddy in the same round.
	Ratio *spread `json:"ratio,omitzero"`
	// Verdict on the gateway, or on what the rig can tell apart, if there is a goal.
	Verdict *verdict `json:"verdict,omitzero"`
}

// summarize makes the rows of a scenario, measure by measure.
func summarize(scenario string, targets []string, measures []measure, cells []cell) (rows []row) {
	for _, m := range measures {
		values := make(map[string]map[int]float64)
		for _, target := range targets {
			values[target] = valuesOf(m.value, scenario, target, cells)
		}
		if m.added {
			values = added(values)
		}
		for _, target := range targets {
			r := row{Scenario: scenario, Measure: m.name, Unit: m.unit, Target: target}
			if r.Value = spreadOf(byRound(values[target])); r.Value == nil {
				continue
			}
			if target != bare && target != stock {
				r.Ratio = spreadOf(ratios(values[target], values[stock]))
			}
			switch target {
			case ours:
				r.Verdict = m.goal.judge(r.Value, r.Ratio)
			case stockSame:
				r.Verdict = m.resolution.judge(r.Value, r.Ratio)
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// valuesOf has a measure's values by round.
func valuesOf(value func(cell) float64, scenario, target string, cells []cell) map[int]float64 {
	values := make(map[int]float64)
	for _, c := range cells {
		if c.Scenario != scenario || c.Target != target {
			continue
		}
		if v := value(c); v > 0 {
			values[c.Round] = v
		}
	}
	return values
}

// added takes from each round of each target what the bare upstream took in it. Of
// percentiles it is what differs between two, not that of the differences.
func added(values map[string]map[int]float64) map[string]map[int]float64 {
	out := make(map[string]map[int]float64)
	for target, rounds := range values {
		if target == bare {
			continue
		}
		out[target] = make(map[int]float64)
		for round, v := range rounds {
			if base, ok := values[bare][round]; ok {
				out[target][round] = v - base
			}
		}
	}
	return out
}

func byRound(rounds map[int]float64) []float64 {
	return slices.Collect(maps.Values(rounds))
}
