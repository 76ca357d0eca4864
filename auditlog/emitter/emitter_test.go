package emitter

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

// listener keeps the names of the events that it hears.
type listener struct {
	mu    sync.Mutex
	heard []string
}

func (l *listener) Handle(_ context.Context, event caddy.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, event.Name())
	return nil
}

// provisioned is a configuration that has not started, with a listener.
func provisioned(t *testing.T) (caddy.Context, *caddyevents.App, *listener) {
	t.Helper()
	base, err := caddy.ProvisionContext(new(caddy.Config))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(base)
	t.Cleanup(cancel)
	app, err := ctx.App("events")
	if err != nil {
		t.Fatal(err)
	}
	l := new(listener)
	events := app.(*caddyevents.App)
	events.Subscriptions = append(events.Subscriptions, &caddyevents.Subscription{
		Events: []string{"told", "late"}, Handlers: []caddyevents.Handler{l},
	})
	return ctx, events, l
}

// Under the race detector this is the test of what Caddy's events app does not stand.
func TestWhatIsEmittedWhileAppsStartIsHeardOnceTheyHave(t *testing.T) {
	ctx, app, l := provisioned(t)
	e, err := Of(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var emitting sync.WaitGroup
	for range 10 {
		emitting.Go(func() {
			if e.ShouldEmit("told") {
				e.Emit("told", nil)
			}
		})
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	emitting.Wait()
	if e.Heard("told") {
		t.Error("it is known who listens before all have started")
	}
	if len(l.heard) != 0 {
		t.Errorf("%q are heard before all have started", l.heard)
	}
	app.Emit(ctx, "started", nil)
	e.Emit("late", nil)
	if want := append(slices.Repeat([]string{"told"}, 10), "late"); !slices.Equal(l.heard, want) {
		t.Errorf("%q are heard, want %q", l.heard, want)
	}
	if !e.Heard("told") || e.Heard("unheard") || e.ShouldEmit("unheard") {
		t.Error("there is somebody who listens to what nobody listens to")
	}
}

func TestWhatWaitsForAStartIsBounded(t *testing.T) {
	ctx, _, _ := provisioned(t)
	e, err := Of(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 * mostWaiting {
		e.Emit("told", nil)
	}
	if n := len(e.waiting); n != mostWaiting {
		t.Errorf("%d events wait", n)
	}
}

func TestAnEmitterOfAConfigurationThatHasStartedDoesNotWait(t *testing.T) {
	ctx, app, l := provisioned(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	e, err := Of(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e.Emit("told", nil)
	if len(l.heard) != 1 {
		t.Errorf("%q are heard", l.heard)
	}
}
