package main

import (
	"fmt"
	"time"
)

// scenario is a kind of load, and what is worth knowing of it.
type scenario struct {
	name        string
	request     request
	connections int
	run         func(*session) (cell, error)
	measures    []measure
	parts       bool // also with each part left out
}

var (
	addedP50   = measure{"added latency p50", latencyP50, true, "µs"}
	addedP99   = measure{"added latency p99", latencyP99, true, "µs"}
	p50        = measure{"latency p50", latencyP50, false, "µs"}
	p99        = measure{"latency p99", latencyP99, false, "µs"}
	throughput = measure{"requests", requestsPerSecond, false, "1/s"}
	cpuRequest = measure{"CPU a request", cpuPerRequest, false, "µs"}
	cpuToken   = measure{"CPU a token", cpuPerToken, false, "µs"}
	perRequest = measure{"allocations a request", allocsPerRequest, false, "1"}
	perToken   = measure{"allocations a token", allocsPerToken, false, "1"}
	addedFirst = measure{"added time to first token p50", firstP50, true, "µs"}
	first99    = measure{"time to first token p99", firstP99, false, "µs"}
	delay50    = measure{"delay of a token p50", tokenP50, false, "µs"}
	delay99    = measure{"delay of a token p99", tokenP99, false, "µs"}
	tokenRate  = measure{"tokens", tokensPerSecond, false, "1/s"}
	memory     = measure{"resident memory", residentMiB, false, "MiB"}
)

// scenarios that are always run. The open loop depends on what they find.
func scenarios(o options) []scenario {
	short := newRequest(objectModel, false, 100)
	closed := func(s *session) (cell, error) { return s.closedLoop(o.duration, false) }
	fresh := func(s *session) (cell, error) { return s.closedLoop(o.duration, true) }
	streams := func(s *session) (cell, error) { return s.streams(o.duration) }
	burst := newRequest(burstModel, true, 100)
	return []scenario{
		{"idle", short, 1, idle, []measure{memory}, false},
		{"1 connection", short, 1, closed, []measure{p50, addedP50, addedP99, cpuRequest, perRequest}, false},
		{saturation, short, 64, closed, []measure{throughput, p50, p99, cpuRequest, perRequest}, true},
		{"1 connection, prompt of 100 kB", newRequest(objectModel, false, 100_000), 1, closed, []measure{addedP50, addedP99, cpuRequest}, false},
		{"8 clients, a new connection for each request", short, 8, fresh, []measure{throughput, p50, cpuRequest}, false},
		{"1 stream without delay", burst, 1, streams, []measure{addedFirst, first99, cpuToken}, false},
		{"32 streams without delay", burst, 32, streams, []measure{tokenRate, cpuToken, perToken}, true},
		{fmt.Sprintf("%d streams held, each %g tokens/s", o.streams, o.tokenRate), newRequest(heldModel, true, 100), o.streams,
			func(s *session) (cell, error) { return s.held(max(o.duration, time.Second)) },
			[]measure{cpuToken, delay50, delay99, perToken, memory}, false},
	}
}

// saturation is the scenario that says what a target can do at most.
const saturation = "64 connections"

// openLoopAt is the scenario of a rate.
func openLoopAt(o options, rate float64) scenario {
	return scenario{
		name: fmt.Sprintf("open loop, %.0f requests/s", rate), request: newRequest(objectModel, false, 100), connections: 64,
		run:      func(s *session) (cell, error) { return s.openLoop(o.duration, rate) },
		measures: []measure{addedP50, addedP99, cpuRequest},
	}
}

// idle measures what is there before there was any load to speak of.
func idle(s *session) (cell, error) {
	if err := s.begin(); err != nil {
		return cell{}, err
	}
	err := s.end()
	return s.cell(), err
}
