package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// Growth: what a request costs when more and more clients are known, and a token when
// more and more streams are held.
var (
	knownClients = []int{1, 1_000, 100_000, 1_000_000}
	heldStreams  = []int{1, 100, 500, 2_000}
	// growthDuration is long enough for a few tokens of each of 2,000 streams.
	growthDuration = 2 * time.Second
)

const (
	// growthTokens are a second, of all streams together: so many whatever their number,
	// for a token is cheaper when there is more to do at once.
	growthTokens = 2_000
	knownPath    = "/known"
)

// flat is what growth may add.
var flat = goal{most: 1.10, unit: "×"}

func growthInterval(streams int) time.Duration {
	return time.Duration(streams) * time.Second / growthTokens
}

// heldIntervals are those of all models whose streams are held.
func heldIntervals(o options) []time.Duration {
	all := []time.Duration{heldInterval(o)}
	if o.growth {
		for _, n := range heldStreams {
			all = append(all, growthInterval(n))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// grow measures growth.
func (r *rig) grow(rep *report, progress io.Writer) error {
	var names []string
	for _, n := range heldStreams {
		s := holding(n, growthInterval(n), growthDuration, false, cpuToken)
		s.name = fmt.Sprintf("growth: %d streams, together %d tokens/s", n, growthTokens)
		names = append(names, s.name)
		if err := r.run(s, rep, progress); err != nil {
			return err
		}
	}
	rep.Rows = append(rep.Rows, growthRows("growth by streams", cpuToken, names, rep.Cells)...)
	names = nil
	for _, n := range knownClients {
		s := fromKnown(n, r.options)
		names = append(names, s.name)
		if !r.wants(s) {
			continue
		}
		if err := r.makeKnown(r.target(ours), n, progress); err != nil {
			return err
		}
		if err := r.run(s, rep, progress); err != nil {
			return err
		}
	}
	rep.Rows = append(rep.Rows, growthRows("growth by known clients", cpuRequest, names, rep.Cells)...)
	return nil
}

// fromKnown is what is measured when so many clients are known: requests by all of them.
func fromKnown(n int, o options) scenario {
	return scenario{
		name:    fmt.Sprintf("growth: %d known clients", n),
		request: chat(objectModel, 100).as(n), connections: 64, load: closedLoop, duration: o.duration, turns: 2,
		measures: []measure{cpuRequest, memory},
	}
}

// makeKnown lets so many clients send a request to a gateway, that it remembers them by.
// Each is an X-Forwarded-For from a proxy that the gateway trusts.
func (r *rig) makeKnown(gateway *target, n int, progress io.Writer) error {
	fmt.Fprintf(progress, "making %d clients known\n", n)
	request := request{method: http.MethodGet, path: knownPath, status: http.StatusNoContent}.as(n)
	session, err := r.openSession(gateway, scenario{request: request, connections: 64})
	if err != nil {
		return err
	}
	defer session.close()
	var asked atomic.Int64
	err = session.each(func(i int) error {
		for asked.Add(1) <= int64(n) {
			if err := ask(session.clients[i], request, session.sender(request)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("making clients known: %w", err)
	}
	known, err := gateway.metric(`caddy_ip_throttle_clients{zone="default"}`)
	if err != nil {
		return err
	}
	if known < float64(n) {
		return fmt.Errorf("%d clients came, and the gateway knows %.0f", n, known)
	}
	gateway.settle()
	return nil
}

// growthRows compare what the gateway costs in each of the scenarios to the first of
// them, where stock Caddy's costs beside it are the measure in both: the machine may have
// become slower meanwhile. The goal is that of the last.
func growthRows(name string, m measure, scenarios []string, cells []cell) (rows []row) {
	toStock := func(scenario string) map[int]float64 {
		return ratiosByRound(valuesOf(m.value, scenario, ours, cells), valuesOf(m.value, scenario, stock, cells))
	}
	first := toStock(scenarios[0])
	for i, scenario := range scenarios[1:] {
		value := spreadOf(ratios(toStock(scenario), first))
		if value == nil {
			continue
		}
		r := row{Scenario: name, Measure: m.name + ": " + scenario, Unit: "× that of the first", Target: ours, Value: value}
		if i == len(scenarios)-2 {
			r.Verdict = flat.judge(value, nil)
		}
		rows = append(rows, r)
	}
	return rows
}
