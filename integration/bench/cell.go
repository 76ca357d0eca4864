package main

import (
	"slices"
	"time"
)

// cell is what a target's turns of one round measured. What a scenario does not have is
// 0 and left out.
type cell struct {
	Scenario string  `json:"scenario"`
	Target   string  `json:"target"`
	Round    int     `json:"round"`
	Rate     float64 `json:"offered_rate,omitzero"` // requests a second, open loop

	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests,omitzero"` // whose answers became complete
	Tokens   int     `json:"tokens,omitzero"`   // that arrived

	// in microseconds
	P50      float64 `json:"p50_us,omitzero"`
	P99      float64 `json:"p99_us,omitzero"`
	FirstP50 float64 `json:"first_token_p50_us,omitzero"` // from the request to its first token
	FirstP99 float64 `json:"first_token_p99_us,omitzero"`
	TokenP50 float64 `json:"token_delay_p50_us,omitzero"` // from the upstream to the client
	TokenP99 float64 `json:"token_delay_p99_us,omitzero"`

	// of the target's process
	CPU       float64 `json:"cpu_seconds,omitzero"`
	Allocs    float64 `json:"allocations,omitzero"`
	Allocated float64 `json:"allocated_bytes,omitzero"`
	Resident  float64 `json:"resident_bytes,omitzero"` // at the end

	// of the load generator's, and the upstream's
	DriverCPU   float64 `json:"driver_cpu_seconds,omitzero"`
	UpstreamCPU float64 `json:"upstream_cpu_seconds,omitzero"`
}

// middleAndTail are the 50th and 99th percentile in microseconds.
func middleAndTail(all []time.Duration) (p50, p99 float64) {
	slices.Sort(all)
	return micros(percentile(all, 50)), micros(percentile(all, 99))
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// per divides, and is 0 where there is nothing to divide by.
func per(total float64, n float64) float64 {
	if n == 0 {
		return 0
	}
	return total / n
}

func latencyP50(c cell) float64 { return c.P50 }
func latencyP99(c cell) float64 { return c.P99 }
func firstP50(c cell) float64   { return c.FirstP50 }
func firstP99(c cell) float64   { return c.FirstP99 }
func tokenP50(c cell) float64   { return c.TokenP50 }
func tokenP99(c cell) float64   { return c.TokenP99 }

func cpuPerRequest(c cell) float64 { return per(c.CPU*1e6, float64(c.Requests)) }
func cpuPerToken(c cell) float64   { return per(c.CPU*1e6, float64(c.Tokens)) }
func rigCPUPerRequest(c cell) float64 {
	return per((c.DriverCPU+c.UpstreamCPU)*1e6, float64(c.Requests))
}
func allocsPerRequest(c cell) float64  { return per(c.Allocs, float64(c.Requests)) }
func allocsPerToken(c cell) float64    { return per(c.Allocs, float64(c.Tokens)) }
func bytesPerRequest(c cell) float64   { return per(c.Allocated, float64(c.Requests)) }
func bytesPerToken(c cell) float64     { return per(c.Allocated, float64(c.Tokens)) }
func residentMiB(c cell) float64       { return c.Resident / (1 << 20) }
func requestsPerSecond(c cell) float64 { return per(float64(c.Requests), c.Seconds) }
func tokensPerSecond(c cell) float64   { return per(float64(c.Tokens), c.Seconds) }
func coresBusy(c cell) float64         { return per(c.CPU, c.Seconds) }
