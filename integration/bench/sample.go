package main

import "time"

// sample is what a turn measured, as it came.
type sample struct {
	window time.Duration
	rate   float64 // requests a second that were offered, in an open loop

	latencies []time.Duration // of whole answers
	firsts    []time.Duration // from a request to its first token
	delays    []time.Duration // of each token, from the upstream to the client

	cpu      time.Duration // the target's
	driver   time.Duration // this process's
	upstream time.Duration
	allocs   allocated
	resident int64 // at the end
}

// add puts another turn's behind this one's.
func (s *sample) add(more sample) {
	s.observe(more)
	s.window += more.window
	s.rate = more.rate
	s.cpu += more.cpu
	s.driver += more.driver
	s.upstream += more.upstream
	s.allocs = s.allocs.plus(1, more.allocs)
	s.resident = more.resident
}

// observe takes in what another connection saw in the same turn.
func (s *sample) observe(more sample) {
	s.latencies = append(s.latencies, more.latencies...)
	s.firsts = append(s.firsts, more.firsts...)
	s.delays = append(s.delays, more.delays...)
}

// cell is what is kept of the sample.
func (s *sample) cell(scenario, target string, round int) cell {
	c := cell{
		Scenario: scenario, Target: target, Round: round, Rate: s.rate,
		Seconds: s.window.Seconds(), Requests: len(s.latencies), Tokens: len(s.delays),
		CPU: s.cpu.Seconds(), DriverCPU: s.driver.Seconds(), UpstreamCPU: s.upstream.Seconds(),
		Allocs: s.allocs.Objects, Allocated: s.allocs.Bytes, Resident: float64(s.resident),
	}
	c.P50, c.P99 = middleAndTail(s.latencies)
	c.FirstP50, c.FirstP99 = middleAndTail(s.firsts)
	c.TokenP50, c.TokenP99 = middleAndTail(s.delays)
	return c
}
