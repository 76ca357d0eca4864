package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// rig is all that is measured, running.
type rig struct {
	options options
	caddy   string    // stock Caddy's version
	targets []*target // the bare upstream and stock Caddy first
}

// The gateway with everything on, and stock Caddy once more.
const (
	ours      = "gateway"
	stockSame = "stock again"
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
	self, err := os.Executable()
	if err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	interval := time.Duration(float64(time.Second) / o.tokenRate)
	upstream, err := start(bare, address, exec.Command(self, upstreamCommand, address, interval.String()))
	if err != nil {
		return err
	}
	r.targets = append(r.targets, upstream)
	add := func(name, binary string, parts []string) {
		if err != nil {
			return
		}
		var t *target
		if t, err = startGateway(name, binary, dir, address, parts); err == nil {
			r.targets = append(r.targets, t)
		}
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
func (r *rig) names(parts bool) (names []string) {
	for _, t := range r.targets {
		if parts || !strings.HasPrefix(t.name, "without ") {
			names = append(names, t.name)
		}
	}
	return names
}

func (r *rig) target(name string) *target {
	for _, t := range r.targets {
		if t.name == name {
			return t
		}
	}
	return nil
}

// measure runs all scenarios. It says on progress what it is at.
func (r *rig) measure(progress io.Writer) (*report, error) {
	rep := newReport(r.options, r.caddy)
	for _, s := range scenarios(r.options) {
		if err := r.run(s, rep, progress); err != nil {
			return nil, err
		}
	}
	most := spreadOf(byRound(valuesOf(requestsPerSecond, saturation, stock, rep.Cells)))
	for _, load := range r.options.loads {
		if most == nil {
			break // -only left the saturation out
		}
		if err := r.run(openLoopAt(r.options, load*most.Median), rep, progress); err != nil {
			return nil, err
		}
	}
	rep.LoadAfter = loadAverage()
	return rep, nil
}

// run lets the targets take turns in a scenario.
func (r *rig) run(s scenario, rep *report, progress io.Writer) error {
	if !strings.Contains(s.name, r.options.only) {
		return nil
	}
	fmt.Fprintln(progress, "measuring:", s.name)
	names := r.names(s.parts)
	var cells []cell
	for _, turn := range schedule(names, r.options.rounds) {
		c, err := r.turn(s, turn)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", s.name, turn.target, err)
		}
		cells = append(cells, c)
	}
	rep.Cells = append(rep.Cells, cells...)
	rep.Rows = append(rep.Rows, summarize(s.name, names, s.measures, cells)...)
	return nil
}

// tokensAtOnce is how many tokens are minted for one turn.
const tokensAtOnce = 5000

func (r *rig) turn(s scenario, turn turn) (cell, error) {
	tokens, err := newTokens(tokensAtOnce)
	if err != nil {
		return cell{}, err
	}
	session, err := openSession(r.target(turn.target), s.request, tokens, s.connections)
	if err != nil {
		return cell{}, err
	}
	defer session.close()
	c, err := s.run(session)
	c.Scenario, c.Round = s.name, turn.round
	return c, err
}
