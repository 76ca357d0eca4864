package main

import (
	"slices"
	"testing"
	"time"
)

func TestTheGatewaysGoals(t *testing.T) {
	o := options{duration: time.Second, streams: 500, tokenRate: 20}
	var got []string
	for _, s := range scenarios(o) {
		for _, m := range s.measures {
			if m.goal != (goal{}) {
				got = append(got, s.name+": "+m.name+" "+m.goal.String())
			}
		}
	}
	want := []string{
		"idle: resident memory ≤ 60 MiB",
		"1 connection: added latency p50 ≤ 1.25 ×",
		"64 connections: requests ≥ 0.80 ×",
		"64 connections: CPU a request ≤ 1.30 ×",
		"1 connection, prompt of 100 kB: added latency p50 ≤ 1.60 ×",
		"8 clients, a new connection for each request: CPU a request ≤ 1.25 ×",
		"1 short stream after another: added time to first token p50 ≤ 1.15 ×",
		"32 streams without delay: CPU a token ≤ 1.30 ×",
		"500 streams held, each 20 tokens/s: CPU a token ≤ 1.15 ×",
		"500 streams held, each 20 tokens/s: delay of a token p99 ≤ 2.00 ×",
		"500 streams held, each 20 tokens/s: resident memory ≤ 1.25 ×",
		"a client leaves its stream: upstream stops after p99 ≤ 20 ms",
		"a client leaves that waits for a whole answer: upstream stops after p99 ≤ 20 ms",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestTheUpstreamHasTheModelsOfHeldStreams(t *testing.T) {
	for name, c := range map[string]struct {
		options options
		want    []time.Duration
	}{
		"one pace, for those that are always held": {options{tokenRate: 20}, []time.Duration{50 * time.Millisecond}},
		"and those of growth, each once": {options{tokenRate: 4, growth: true},
			[]time.Duration{500 * time.Microsecond, 50 * time.Millisecond, 250 * time.Millisecond, time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := heldIntervals(c.options); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
