package main

import (
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// rig is all that is measured, running.
type rig struct {
	options  options
	caddy    string    // stock Caddy's version
	targets  []*target // the bare upstream first
	leavings *leavings
}

// The gateway with everything on, stock Caddy once more, and for sizing a gateway that
// does nothing but remember clients.
const (
	ours       = "gateway"
	stockSame  = "stock again"
	rememberer = "gateway with clients"
)

func startRig(o options, dir string) (*rig, error) {
	r := &rig{options: o}
	if err := r.start(dir); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *rig) start(dir string) error {
	o := r.options
	ourBinary, err := build(o.ours, dir, "gateway", "cmd/caddy")
	if err != nil {
		return err
	}
	stockBinary, err := build(o.stock, dir, "stock", "integration/bench/stockcaddy")
	if err != nil {
		return err
	}
	version, err := exec.Command(stockBinary, "version").Output()
	if err != nil {
		return fmt.Errorf("%s version: %w", stockBinary, err)
	}
	r.caddy, _, _ = strings.Cut(string(version), " ")
	upstream, err := r.startUpstream(o)
	if err != nil {
		return err
	}
	add := func(name, binary string, parts []string) {
		if err != nil {
			return
		}
		g := gateway{upstream: upstream.address, parts: parts, remembers: o.growth || name == rememberer, oneCore: o.sizing}
		var t *target
		if t, err = startGateway(name, binary, dir, g); err == nil {
			r.targets = append(r.targets, t)
		}
	}
	if o.sizing {
		add(ours, ourBinary, allParts)
		add(rememberer, ourBinary, allParts)
		return err
	}
	add(stock, stockBinary, nil)
	add(ours, ourBinary, allParts)
	if o.same {
		add(stockSame, stockBinary, nil)
	}
	if o.parts {
		for _, part := range allParts {
			add("without "+part, ourBinary, without(part))
		}
	}
	return err
}

func (r *rig) stop() {
	for _, t := range r.targets {
		t.stop()
	}
}

// names of the targets of a scenario.
func (r *rig) names(s scenario) (names []string) {
	for _, t := range r.targets {
		leftOut := strings.HasPrefix(t.name, "without ") && !s.parts || t.name == bare && s.http2
		if leftOut || r.options.sizing && t.name != ours {
			continue
		}
		names = append(names, t.name)
	}
	return names
}

func (r *rig) target(name string) *target {
	i := slices.IndexFunc(r.targets, func(t *target) bool { return t.name == name })
	return r.targets[i]
}

// measure runs all scenarios. It says on progress what it is at.
func (r *rig) measure(progress io.Writer) (*report, error) {
	rep := newReport(r.options, r.caddy)
	before, err := r.busy()
	if err != nil {
		return nil, err
	}
	if err := r.runAll(rep, progress); err != nil {
		return nil, err
	}
	after, err := r.busy()
	if err != nil {
		return nil, err
	}
	rep.Others = others(before, after, rep.Cores)
	rep.LoadAfter = loadAverage()
	return rep, nil
}

func (r *rig) runAll(rep *report, progress io.Writer) error {
	for _, s := range scenarios(r.options) {
		if err := r.run(s, rep, progress); err != nil {
			return err
		}
	}
	most := spreadOf(byRound(valuesOf(requestsPerSecond, saturation, stock, rep.Cells)))
	for _, load := range r.options.loads {
		if most == nil {
			break // -only left the saturation out
		}
		if err := r.run(openLoopAt(r.options, load*most.Median), rep, progress); err != nil {
			return err
		}
	}
	if r.options.growth {
		return r.grow(rep, progress)
	}
	return nil
}

func (r *rig) wants(s scenario) bool { return strings.Contains(s.name, r.options.only) }

// run lets the targets take turns in a scenario, if it is among those that are wanted.
func (r *rig) run(s scenario, rep *report, progress io.Writer) error {
	if !r.wants(s) {
		return nil
	}
	fmt.Fprintln(progress, "measuring:", s.name)
	names := r.names(s)
	for round := range r.options.rounds {
		cells, err := r.round(s, names, round)
		if err != nil {
			return fmt.Errorf("%s, %w", s.name, err)
		}
		rep.Cells = append(rep.Cells, cells...)
	}
	rep.Rows = append(rep.Rows, summarize(s.name, names, s.measures, rep.Cells)...)
	return nil
}

// round has a cell for each target.
func (r *rig) round(s scenario, names []string, round int) ([]cell, error) {
	sessions, samples := make(map[string]*session), make(map[string]*sample)
	defer func() {
		for _, session := range sessions {
			session.close()
		}
	}()
	for _, name := range names {
		session, err := r.openSession(r.target(name), s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		sessions[name], samples[name] = session, new(sample)
	}
	for _, name := range schedule(names, s.turns, round) {
		r.target(name).settle()
		turn, err := s.load(sessions[name], s.duration/time.Duration(s.turns))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		samples[name].add(turn)
		r.target(name).settle()
	}
	var cells []cell
	for _, name := range names {
		cells = append(cells, samples[name].cell(s.name, name, round))
	}
	return cells, nil
}
