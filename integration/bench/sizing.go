package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sizing is what a gateway carries that has one processor core, to plan by.
type sizing struct {
	requests spread // a second
	cpu      spread // of a request, µs
	freshCPU spread // of a request whose connection is new, µs
	tokens   spread // a second, of streams without delay
	idle     spread // resident memory, MiB
	rate     float64
	ladder   []rung
	client   float64 // resident memory of a remembered client, bytes
	record   float64 // of the audit log, bytes
	others   float64 // part of the machine's processors that went to all else
}

// rung is how so many held streams were carried.
type rung struct {
	streams int
	core    float64 // part of the core
	late    float64 // delay of a token p99, µs
	memory  float64 // resident, MiB
	kept    bool
}

// ladder is how many streams are tried, until there are too many.
var ladder = []int{250, 500, 750, 1_000, 1_250, 1_500, 1_750, 2_000, 2_500, 3_000}

// size measures what is to be planned by.
func (r *rig) size(progress io.Writer) (*sizing, error) {
	rep := newReport(r.options, r.caddy)
	before, err := r.busy()
	if err != nil {
		return nil, err
	}
	for _, s := range scenarios(r.options) {
		switch s.name {
		case idling, saturation, freshConnections, bursts:
			if err := r.run(s, rep, progress); err != nil {
				return nil, err
			}
		}
	}
	median := func(value func(cell) float64, scenario string) (s spread) {
		if measured := spreadOf(byRound(valuesOf(value, scenario, ours, rep.Cells))); measured != nil {
			s = *measured
		}
		return s
	}
	out := &sizing{
		requests: median(requestsPerSecond, saturation), cpu: median(cpuPerRequest, saturation),
		freshCPU: median(cpuPerRequest, freshConnections), tokens: median(tokensPerSecond, bursts),
		idle: median(residentMiB, idling), rate: r.options.tokenRate,
	}
	data, err := os.ReadFile(filepath.Join(r.target(ours).home, "audit.log"))
	if err != nil {
		return nil, err
	}
	out.record = per(float64(len(data)), float64(bytes.Count(data, []byte("\n"))))
	if out.ladder, err = r.climb(progress); err != nil {
		return nil, err
	}
	if out.client, err = r.costOfKnowing(knownClients[len(knownClients)-1], progress); err != nil {
		return nil, err
	}
	after, err := r.busy()
	out.others = others(before, after, rep.Cores)
	return out, err
}

// climb holds more and more streams, until they are too many. That they were not, once in
// as many rounds as there are, is enough: what else the machine does makes it only worse.
func (r *rig) climb(progress io.Writer) (rungs []rung, err error) {
	interval := heldInterval(r.options)
	for _, n := range ladder {
		s := holding(n, interval, growthDuration, false)
		fmt.Fprintln(progress, "measuring:", s.name)
		var reached rung
		for round := 0; round < r.options.rounds && !reached.kept; round++ {
			cells, err := r.round(s, []string{ours}, round)
			if err != nil {
				return nil, fmt.Errorf("%s, %w", s.name, err)
			}
			c := cells[0]
			reached = rung{
				streams: n, core: coresBusy(c), late: c.TokenP99, memory: residentMiB(c),
				kept: keptUp(c, float64(n)*r.options.tokenRate, interval),
			}
		}
		rungs = append(rungs, reached)
		if !reached.kept {
			break
		}
	}
	return rungs, nil
}

// keptUp says whether all tokens came, and but one in a hundred before the next was due.
func keptUp(c cell, offered float64, interval time.Duration) bool {
	const measuring = 0.97 // what a window that begins and ends between two tokens may miss
	return tokensPerSecond(c) >= measuring*offered && c.TokenP99 <= micros(interval)
}

// costOfKnowing is how many bytes of resident memory each of n remembered clients costs.
func (r *rig) costOfKnowing(n int, progress io.Writer) (float64, error) {
	gateway := r.target(rememberer)
	before, err := residentOf(gateway.pid())
	if err != nil {
		return 0, err
	}
	if err := r.makeKnown(gateway, n, progress); err != nil {
		return 0, err
	}
	after, err := residentOf(gateway.pid())
	return max(0, float64(after-before)) / float64(n), err
}

// String is the table of the README's "Sizing".
func (s *sizing) String() string {
	var out strings.Builder
	row := func(what, format string, args ...any) {
		fmt.Fprintf(&out, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	row("one core carries", "")
	row("---", "---")
	row("requests, answered in one piece", "%.0f a second; %.2f ms of processor time each, %.2f ms if the connection is new (TLS and client certificate, ECDSA P-256)",
		s.requests.Median, s.cpu.Median/1000, s.freshCPU.Median/1000)
	row("tokens, as fast as they come", "%.0f a second", s.tokens.Median)
	if best := s.most(); best != nil {
		row(fmt.Sprintf("streams of %g tokens/s", s.rate), "%d, with %.0f %% of the core; all but one token in a hundred less than %.0f ms late",
			best.streams, 100*best.core, best.late/1000)
		row("memory", "%.0f MiB idle; %.0f KiB more a stream that is held, on a connection of its own; %.0f bytes more a client that is remembered",
			s.idle.Median, max(0, best.memory-s.idle.Median)*1024/float64(best.streams), s.client)
	}
	row("audit log", "%.2g kB a record before it is compressed: 5 requests a second make %.0f MB a day", s.record/1000, s.record*5*86400/1e6)
	fmt.Fprintf(&out, "\nother programs had %.0f %% of the processors\n", 100*s.others)
	out.WriteString("\nstreams held  part of the core  delay of a token p99, ms  resident, MiB\n")
	for _, r := range s.ladder {
		note := ""
		if !r.kept {
			note = "  too many"
		}
		fmt.Fprintf(&out, "%12d  %16.2f  %24.1f  %13.0f%s\n", r.streams, r.core, r.late/1000, r.memory, note)
	}
	return out.String()
}

// most is the highest rung that was carried, or nil.
func (s *sizing) most() (best *rung) {
	for i := range s.ladder {
		if s.ladder[i].kept {
			best = &s.ladder[i]
		}
	}
	return best
}
