package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestMain lets the test's binary be the upstream, as the rig starts itself as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == upstreamCommand {
		exit(serveUpstream(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

// It says nothing of how fast anything is: only that all targets were measured, and that
// what is to be written can be read.
func TestTheRigMeasuresAllItPromises(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two Caddys; run without -short")
	}
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Skip(err)
	}
	defer func(clients, streams, rungs []int, d time.Duration) {
		knownClients, heldStreams, ladder, growthDuration = clients, streams, rungs, d
	}(knownClients, heldStreams, ladder, growthDuration)
	knownClients, heldStreams, ladder, growthDuration = []int{1, 20}, []int{1, 4}, []int{2}, 100*time.Millisecond
	o := options{
		duration: 20 * time.Millisecond, rounds: 1, streams: 8, tokenRate: 100, loads: []float64{0.1, 0.2},
		parts: true, growth: true,
	}
	dir := t.TempDir()
	rig, err := startRig(o, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer rig.stop()
	rep, err := rig.measure(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	measured := make(map[string][]string)
	for _, c := range rep.Cells {
		measured[c.Scenario] = append(measured[c.Scenario], c.Target)
		if c.Scenario != idling && c.Requests+c.Tokens == 0 {
			t.Errorf("%s, %s: nothing was done", c.Scenario, c.Target)
		}
		if c.Scenario != idling && (c.CPU <= 0 || c.DriverCPU <= 0 || c.UpstreamCPU <= 0 || c.Resident <= 0) {
			t.Errorf("%s, %s: nothing was booked: %+v", c.Scenario, c.Target, c)
		}
	}
	for _, s := range scenarios(o) {
		if got, want := measured[s.name], rig.names(s); !slices.Equal(got, want) {
			t.Errorf("%s: measured are %q, want %q", s.name, got, want)
		}
	}
	if len(measured["growth: 20 known clients"]) == 0 || len(measured["growth: 4 streams, together 2000 tokens/s"]) == 0 {
		t.Error("growth was not measured")
	}
	if rep.Caddy == "" || len(rep.Rows) == 0 {
		t.Errorf("Caddy %q, %d rows", rep.Caddy, len(rep.Rows))
	}

	jsonFile, svgFile := filepath.Join(dir, "bench.json"), filepath.Join(dir, "bench.svg")
	if err := rep.write(jsonFile, svgFile); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(jsonFile)
	if err != nil {
		t.Fatal(err)
	}
	var read report
	if err := json.Unmarshal(data, &read); err != nil || len(read.Cells) != len(rep.Cells) {
		t.Errorf("%v, %d turns, want %d", err, len(read.Cells), len(rep.Cells))
	}
	svg, err := os.ReadFile(svgFile)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range polylines(t, string(svg)) {
		if len(line) != len(o.loads) {
			t.Errorf("line %d of the plot has %d points, want one for each load", i, len(line))
		}
	}

	rig.stop()
	o.parts, o.growth, o.sizing = false, false, true
	o.ours, o.stock = filepath.Join(dir, "bin", "gateway"), filepath.Join(dir, "bin", "stock")
	testSizing(t, o)
}

func testSizing(t *testing.T, o options) {
	rig, err := startRig(o, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer rig.stop()
	s, err := rig.size(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if s.requests.Median <= 0 || s.cpu.Median <= 0 || s.freshCPU.Median <= 0 || s.tokens.Median <= 0 || s.idle.Median <= 0 ||
		s.record <= 0 || len(s.ladder) != 1 || s.ladder[0].memory <= 0 {
		t.Errorf("something was not measured:\n%s", s)
	}
}
