package main

import (
	"reflect"
	"testing"
)

func TestGrowthIsMeasuredByStockCaddyBesideIt(t *testing.T) {
	const us = 1e-6
	// one request each, and the machine half as fast in the end
	at := func(scenario string, round int, stockCPU, ourCPU float64) []cell {
		return []cell{
			{Scenario: scenario, Target: stock, Round: round, Requests: 1, CPU: stockCPU * us},
			{Scenario: scenario, Target: ours, Round: round, Requests: 1, CPU: ourCPU * us},
		}
	}
	growing := func(last float64) (cells []cell) {
		for round := range 2 {
			cells = append(cells, at("1", round, 64, 128)...)
			cells = append(cells, at("10", round, 64, 128)...)
			cells = append(cells, at("100", round, 128, last)...)
		}
		return cells
	}
	grown := func(scenario string, by float64, v *verdict) row {
		return row{"growth", "CPU a request: " + scenario, "× that of the first", ours, &spread{by, by, by}, nil, v}
	}
	for name, c := range map[string]struct {
		cells []cell
		want  []row
	}{
		"as much as in the beginning, though the machine is slower": {growing(256), []row{grown("10", 1, nil), grown("100", 1, &verdict{"≤ 1.1 ×", true})}},
		"twice as much":                    {growing(512), []row{grown("10", 1, nil), grown("100", 2, &verdict{"≤ 1.1 ×", false})}},
		"nothing, if nothing was measured": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := growthRows("growth", cpuRequest, []string{"1", "10", "100"}, c.cells); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestStreamsHaveTheSameTokensTogetherWhateverTheirNumber(t *testing.T) {
	for _, n := range heldStreams {
		if got := float64(n) / growthInterval(n).Seconds(); got != growthTokens {
			t.Errorf("%d streams have %g tokens/s", n, got)
		}
	}
}
