package main

// measure is something that a table has a row for.
type measure struct {
	name  string
	unit  string
	value func(cell) float64 // 0: not measured
	added bool               // over the bare upstream's
	// goal is what the gateway is to keep, if that is set.
	goal goal
	// resolution is what the rig is to keep when it measures stock Caddy against itself.
	resolution goal
}

// to gives the measure a goal.
func (m measure) to(g goal) measure {
	m.goal = g
	return m
}

// What the rig can tell apart, on a quiet machine.
var (
	within5     = goal{least: 0.95, most: 1.05}
	within10    = goal{least: 0.90, most: 1.10}
	withinTwice = goal{least: 0.5, most: 2}
)

var (
	p50          = measure{name: "latency p50", unit: "µs", value: latencyP50, resolution: within5}
	p99          = measure{name: "latency p99", unit: "µs", value: latencyP99, resolution: withinTwice}
	addedP50     = measure{name: "added latency p50", unit: "µs", value: latencyP50, added: true, resolution: within5}
	addedP99     = measure{name: "added latency p99", unit: "µs", value: latencyP99, added: true, resolution: withinTwice}
	addedFirst   = measure{name: "added time to first token p50", unit: "µs", value: firstP50, added: true, resolution: within5}
	first99      = measure{name: "time to first token p99", unit: "µs", value: firstP99, resolution: withinTwice}
	delay50      = measure{name: "delay of a token p50", unit: "µs", value: tokenP50, resolution: within5}
	delay99      = measure{name: "delay of a token p99", unit: "µs", value: tokenP99, resolution: withinTwice}
	throughput   = measure{name: "requests", unit: "1/s", value: requestsPerSecond, resolution: within10}
	tokenRate    = measure{name: "tokens", unit: "1/s", value: tokensPerSecond, resolution: within10}
	cpuRequest   = measure{name: "CPU a request", unit: "µs", value: cpuPerRequest, resolution: within10}
	cpuToken     = measure{name: "CPU a token", unit: "µs", value: cpuPerToken, resolution: within10}
	rigRequest   = measure{name: "CPU a request of client and upstream", unit: "µs", value: rigCPUPerRequest}
	perRequest   = measure{name: "allocations a request", unit: "1", value: allocsPerRequest}
	perToken     = measure{name: "allocations a token", unit: "1", value: allocsPerToken}
	bytesRequest = measure{name: "allocated a request", unit: "B", value: bytesPerRequest}
	bytesToken   = measure{name: "allocated a token", unit: "B", value: bytesPerToken}
	memory       = measure{name: "resident memory", unit: "MiB", value: residentMiB}
	left50       = measure{name: "upstream stops after p50", unit: "ms", value: func(c cell) float64 { return c.P50 / 1000 }}
	left99       = measure{name: "upstream stops after p99", unit: "ms", value: func(c cell) float64 { return c.P99 / 1000 }}
)
