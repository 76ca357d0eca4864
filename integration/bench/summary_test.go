package main

import (
	"reflect"
	"testing"
)

func TestSummary(t *testing.T) {
	at := func(target string, round int, p50 float64) cell {
		return cell{Scenario: "s", Target: target, Round: round, P50: p50}
	}
	cells := []cell{
		at(bare, 0, 100), at(stock, 0, 300), at(ours, 0, 400), at(stockSame, 0, 300),
		at(bare, 1, 200), at(stock, 1, 600), at(ours, 1, 800), at(stockSame, 1, 600),
		{Scenario: "another", Target: ours, P50: 1},
	}
	targets := []string{bare, stock, ours, stockSame}
	for name, c := range map[string]struct {
		measure measure
		want    []row
	}{
		"a plain measure has a row for each target, and ratios to stock": {
			measure{name: "m", unit: "µs", value: latencyP50},
			[]row{
				{"s", "m", "µs", bare, &spread{150, 100, 200}, nil, nil},
				{"s", "m", "µs", stock, &spread{450, 300, 600}, nil, nil},
				{"s", "m", "µs", ours, &spread{600, 400, 800}, &spread{4.0 / 3, 4.0 / 3, 4.0 / 3}, nil},
				{"s", "m", "µs", stockSame, &spread{450, 300, 600}, &spread{1, 1, 1}, nil},
			},
		},
		"what is added is what is over the bare upstream's in the same round": {
			measure{name: "m", unit: "µs", value: latencyP50, added: true},
			[]row{
				{"s", "m", "µs", stock, &spread{300, 200, 400}, nil, nil},
				{"s", "m", "µs", ours, &spread{450, 300, 600}, &spread{1.5, 1.5, 1.5}, nil},
				{"s", "m", "µs", stockSame, &spread{300, 200, 400}, &spread{1, 1, 1}, nil},
			},
		},
		"the gateway is judged by its goal, and stock Caddy's second by the rig's resolution": {
			measure{name: "m", unit: "µs", value: latencyP50, goal: atMost(1.2), resolution: within5},
			[]row{
				{"s", "m", "µs", bare, &spread{150, 100, 200}, nil, nil},
				{"s", "m", "µs", stock, &spread{450, 300, 600}, nil, nil},
				{"s", "m", "µs", ours, &spread{600, 400, 800}, &spread{4.0 / 3, 4.0 / 3, 4.0 / 3}, &verdict{"≤ 1.20 ×", false}},
				{"s", "m", "µs", stockSame, &spread{450, 300, 600}, &spread{1, 1, 1}, &verdict{"0.95 … 1.05 ×", true}},
			},
		},
		"what was not measured has no row": {measure{name: "m", value: tokenP50}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := summarize("s", targets, []measure{c.measure}, cells); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestMeasuresOfACell(t *testing.T) {
	c := cell{Seconds: 2, Requests: 100, Tokens: 1000, CPU: 0.05, DriverCPU: 0.01, UpstreamCPU: 0.02, Allocs: 5000, Allocated: 40_000, Resident: 3 << 20}
	for name, m := range map[string]struct {
		value func(cell) float64
		want  float64
	}{
		"CPU is told in microseconds a request": {cpuPerRequest, 500},
		"and in microseconds a token":           {cpuPerToken, 50},
		"allocations a request":                 {allocsPerRequest, 50},
		"allocations a token":                   {allocsPerToken, 5},
		"and what they come to":                 {bytesPerRequest, 400},
		"and by token":                          {bytesPerToken, 40},
		"requests are told by the second":       {requestsPerSecond, 50},
		"and so are tokens":                     {tokensPerSecond, 500},
		"memory is told in MiB":                 {residentMiB, 3},
		"the rig's own CPU is told, too":        {rigCPUPerRequest, 300},
		"a part of a core is that of the time":  {coresBusy, 0.025},
	} {
		t.Run(name, func(t *testing.T) {
			if got := m.value(c); got != m.want {
				t.Errorf("%v, want %v", got, m.want)
			}
			if got := m.value(cell{}); got != 0 {
				t.Errorf("of nothing: %v", got)
			}
		})
	}
}
