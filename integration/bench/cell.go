package main

import (
	"slices"
	"time"
)

// cell is what one turn measured. What a scenario does not have is 0 and left out.
type cell struct {
	Scenario string  `json:"scenario"`
	Target   string  `json:"target"`
	Round    int     `json:"round"`
	Rate     float64 `json:"offered_rate,omitzero"` // requests a second, open loop

	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests,omitzero"`
	Tokens   int     `json:"tokens,omitzero"`

	// in microseconds
	P50      float64 `json:"p50_us,omitzero"`
	P99      float64 `json:"p99_us,omitzero"`
	FirstP50 float64 `json:"first_token_p50_us,omitzero"` // from the request to its first token
	FirstP99 float64 `json:"first_token_p99_us,omitzero"`
	TokenP50 float64 `json:"token_delay_p50_us,omitzero"` // from the upstream to the client
	TokenP99 float64 `json:"token_delay_p99_us,omitzero"`

	// of the target's process
	CPU      float64 `json:"cpu_seconds,omitzero"`
	Allocs   float64 `json:"allocations,omitzero"`
	Resident float64 `json:"resident_bytes,omitzero"` // at the end
}

// setLatencies takes the requests' latencies in.
func (c *cell) setLatencies(all []time.Duration) {
	c.Requests = len(all)
	c.P50, c.P99 = middleAndTail(all)
}

// setFirsts takes in how long each stream's first token took.
func (c *cell) setFirsts(all []time.Duration) { c.FirstP50, c.FirstP99 = middleAndTail(all) }

// setDelays takes in how long each token was on its way.
func (c *cell) setDelays(all []time.Duration) {
	c.Tokens = len(all)
	c.TokenP50, c.TokenP99 = middleAndTail(all)
}

// middleAndTail are the 50th and 99th percentile in microseconds.
func middleAndTail(all []time.Duration) (p50, p99 float64) {
	slices.Sort(all)
	return micros(percentile(all, 50)), micros(percentile(all, 99))
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// measure is something that a table has a row for.
type measure struct {
	name  string
	value func(cell) float64 // 0: not measured
	added bool               // over the bare upstream's
	unit  string
}

// per divides, and is 0 where there is nothing to divide by.
func per(total float64, n int) float64 {
	if n == 0 {
		return 0
	}
	return total / float64(n)
}

func latencyP50(c cell) float64 { return c.P50 }
func latencyP99(c cell) float64 { return c.P99 }
func firstP50(c cell) float64   { return c.FirstP50 }
func firstP99(c cell) float64   { return c.FirstP99 }
func tokenP50(c cell) float64   { return c.TokenP50 }
func tokenP99(c cell) float64   { return c.TokenP99 }

func cpuPerRequest(c cell) float64    { return per(c.CPU*1e6, c.Requests) }
func cpuPerToken(c cell) float64      { return per(c.CPU*1e6, c.Tokens) }
func allocsPerRequest(c cell) float64 { return per(c.Allocs, c.Requests) }
func allocsPerToken(c cell) float64   { return per(c.Allocs, c.Tokens) }
func residentMiB(c cell) float64      { return c.Resident / (1 << 20) }

func requestsPerSecond(c cell) float64 {
	if c.Seconds == 0 {
		return 0
	}
	return float64(c.Requests) / c.Seconds
}

func tokensPerSecond(c cell) float64 {
	if c.Seconds == 0 {
		return 0
	}
	return float64(c.Tokens) / c.Seconds
}
