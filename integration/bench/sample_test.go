package main

import (
	"reflect"
	"testing"
	"time"
)

func TestTurnsOfARoundCountTogether(t *testing.T) {
	const ms = time.Millisecond
	var s sample
	s.add(sample{
		window: 50 * ms, latencies: []time.Duration{9 * ms, 1 * ms}, firsts: []time.Duration{5 * ms}, delays: []time.Duration{7 * ms},
		cpu: 10 * ms, driver: 20 * ms, upstream: 30 * ms, allocs: allocated{100, 3000}, resident: 2000,
	})
	s.add(sample{
		window: 150 * ms, rate: 40, latencies: []time.Duration{3 * ms}, firsts: []time.Duration{4 * ms, 6 * ms}, delays: []time.Duration{2 * ms},
		cpu: 1 * ms, driver: 2 * ms, upstream: 3 * ms, allocs: allocated{11, 300}, resident: 1000,
	})
	want := cell{
		Scenario: "s", Target: ours, Round: 2, Rate: 40,
		Seconds: 0.2, Requests: 3, Tokens: 2,
		P50: 3000, P99: 9000, FirstP50: 5000, FirstP99: 6000, TokenP50: 2000, TokenP99: 7000,
		CPU: 0.011, DriverCPU: 0.022, UpstreamCPU: 0.033, Allocs: 111, Allocated: 3300, Resident: 1000,
	}
	if got := s.cell("s", ours, 2); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}
