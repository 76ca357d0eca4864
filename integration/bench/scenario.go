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
	load        load
	duration    time.Duration // of each target in each round
	// turns is how many the duration is made of: many short ones let what else the
	// machine does meet all targets alike.
	turns    int
	measures []measure
	parts    bool // also with each part left out
	http2    bool // which the bare upstream does not speak
}

// Scenarios that others ask for by name. Saturation says what a target can do at most.
const (
	idling           = "idle"
	saturation       = "64 connections"
	freshConnections = "8 clients, a new connection for each request"
	bursts           = "32 streams without delay"
)

// manyTurns is for what one connection does, which needs no time to get going.
const manyTurns = 10

// scenarios that are always run. The open loop depends on what they find.
func scenarios(o options) []scenario {
	short := chat(objectModel, 100)
	sameStreamed := chatStream(objectModel, objectTokens)
	burst := chatStream(burstModel, burstTokens)
	long := max(o.duration, 2*heldInterval(o)) // streams that are held have something to say
	return []scenario{
		{
			name: idling, request: short, connections: 1, load: idle, turns: 1,
			measures: []measure{memory.to(goal{most: 60, unit: "MiB"})},
		},
		{
			name: "1 connection", request: short, connections: 1, load: closedLoop, duration: o.duration, turns: manyTurns,
			measures: []measure{p50, addedP50.to(atMost(1.25)), addedP99, cpuRequest, perRequest, bytesRequest},
		},
		{
			name: saturation, request: short, connections: 64, load: closedLoop, duration: o.duration, turns: 2, parts: true,
			measures: []measure{throughput.to(atLeast(0.80)), p50, p99, cpuRequest.to(atMost(1.30)), rigRequest, perRequest, bytesRequest},
		},
		{
			name: saturation + ", HTTP/2", request: short, connections: 64, load: closedLoop, duration: o.duration, turns: 2, http2: true,
			measures: []measure{throughput, p50, p99, cpuRequest, perRequest, bytesRequest},
		},
		// what answers in one piece are to the gateway, for it has Ollama stream these too
		{
			name: "1 connection, the answer as a stream", request: sameStreamed, connections: 1, load: streams, duration: o.duration, turns: manyTurns,
			measures: []measure{p50, addedP50, cpuRequest},
		},
		{
			name: saturation + ", answers as streams", request: sameStreamed, connections: 64, load: streams, duration: o.duration, turns: 2,
			measures: []measure{throughput, p50, cpuRequest, rigRequest},
		},
		{
			name: "1 connection, prompt of 100 kB", request: chat(objectModel, 100_000), connections: 1, load: closedLoop, duration: o.duration, turns: manyTurns,
			measures: []measure{addedP50.to(atMost(1.60)), addedP99, cpuRequest, perRequest, bytesRequest},
		},
		{
			name: freshConnections, request: short, connections: 8, load: freshLoop, duration: o.duration, turns: 2,
			measures: []measure{throughput, p50, cpuRequest.to(atMost(1.25)), perRequest, bytesRequest},
		},
		{
			name: "1 short stream after another", request: chatStream(briefModel, briefTokens), connections: 1, load: streams, duration: o.duration, turns: manyTurns,
			measures: []measure{addedFirst.to(atMost(1.15)), first99},
		},
		{
			name: "1 stream without delay", request: burst, connections: 1, load: streams, duration: o.duration, turns: 2,
			measures: []measure{tokenRate, cpuToken},
		},
		{
			name: bursts, request: burst, connections: 32, load: streams, duration: o.duration, turns: 2, parts: true,
			measures: []measure{tokenRate, cpuToken.to(atMost(1.30)), perToken, bytesToken},
		},
		holding(o.streams, heldInterval(o), long, false, cpuToken.to(atMost(1.15)), delay50, delay99.to(atMost(2)), perToken, bytesToken, memory.to(atMost(1.25))),
		holding(o.streams, heldInterval(o), long, true, cpuToken, delay50, delay99, perToken, bytesToken, memory),
		clientLeaves("a client leaves its stream", chatStream(leaveModel, 1), o),
		clientLeaves("a client leaves that waits for a whole answer", chat(leaveModel, 100), o),
	}
}

func heldInterval(o options) time.Duration {
	return time.Duration(float64(time.Second) / o.tokenRate)
}

// holding is the scenario of so many streams that live on.
func holding(n int, interval, duration time.Duration, http2 bool, measures ...measure) scenario {
	s := scenario{
		name:    fmt.Sprintf("%d streams held, each %.4g tokens/s", n, float64(time.Second)/float64(interval)),
		request: chatStream(heldModel(interval), 0), connections: n, load: held, duration: duration, turns: 1,
		measures: measures, http2: http2,
	}
	if http2 {
		s.name += ", HTTP/2"
	}
	return s
}

func clientLeaves(name string, r request, o options) scenario {
	return scenario{
		name: name, request: r, connections: 1, load: leaving, duration: o.duration, turns: 2,
		measures: []measure{left50, left99.to(goal{most: 20, unit: "ms"})},
	}
}

// openLoopAt is the scenario of a rate.
func openLoopAt(o options, rate float64) scenario {
	return scenario{
		name: fmt.Sprintf("open loop, %.0f requests/s", rate), request: chat(objectModel, 100), connections: 64,
		load: openLoop(rate), duration: o.duration, turns: 2, measures: []measure{addedP50, addedP99, cpuRequest},
	}
}
