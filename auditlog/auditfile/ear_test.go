package auditfile_test

import (
	"context"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(ear{}) }

// ear is a handler of events that keeps what it hears.
type ear struct{}

var heard struct {
	sync.Mutex
	events []caddy.Event
}

func (ear) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.ear", New: func() caddy.Module { return new(ear) }}
}

func (*ear) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*ear) Handle(_ context.Context, e caddy.Event) error {
	heard.Lock()
	defer heard.Unlock()
	heard.events = append(heard.events, e)
	return nil
}

// hear are the events since the last time.
func hear() []caddy.Event {
	heard.Lock()
	defer heard.Unlock()
	events := heard.events
	heard.events = nil
	return events
}

// counter is what the configuration in force tells of a metric without labels.
func counter(t *testing.T, name string) float64 {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
