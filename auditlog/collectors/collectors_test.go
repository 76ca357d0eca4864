package collectors

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestRegister(t *testing.T) {
	counter := func(name, help string) prometheus.Collector {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	one, other := counter("one_total", "One."), counter("other_total", "The other.")
	registry := prometheus.NewPedanticRegistry()
	for _, c := range []struct {
		name string
		all  []prometheus.Collector
		fail bool
	}{
		{"metrics are registered", []prometheus.Collector{one}, false},
		{"what a second handler has too is no error, and what it has besides is registered", []prometheus.Collector{one, other}, false},
		{"two metrics of one name that differ are an error", []prometheus.Collector{counter("one_total", "Another one.")}, true},
	} {
		if err := Register(registry, c.all...); (err != nil) != c.fail {
			t.Errorf("%s: the error is %v", c.name, err)
		}
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 2 {
		t.Errorf("%d metrics are told (%v), want 2", len(families), err)
	}
}
