// Package emitter emits events of Caddy's, from whatever goroutine and at whatever time.
package emitter

import (
	"context"
	"fmt"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

// Emitter emits events in one configuration. Caddy's events app may not be asked before all
// apps have started, which they do in any order, each with its own goroutines: what is
// emitted until then waits.
type Emitter struct {
	app *caddyevents.App
	ctx caddy.Context

	mu      sync.Mutex
	started bool
	waiting []func()
}

// mostWaiting bounds the events that wait until a configuration has started, which does not
// take long, or will never be because it was refused.
const mostWaiting = 100

// Of returns an emitter for the configuration that is being provisioned.
func Of(ctx caddy.Context) (*Emitter, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("getting the events app: %w", err)
	}
	e := &Emitter{app: app.(*caddyevents.App), ctx: ctx}
	if err := e.app.On("started", e); err != nil {
		e.started = true // which is why there can be no new subscription
	}
	return e, nil
}

// Handle implements caddyevents.Handler: the configuration has started.
func (e *Emitter) Handle(context.Context, caddy.Event) error {
	e.mu.Lock()
	e.started = true
	waiting := e.waiting
	e.waiting = nil
	e.mu.Unlock()
	for _, emit := range waiting {
		emit()
	}
	return nil
}

// ShouldEmit reports whether somebody listens, or may do so when all have started.
func (e *Emitter) ShouldEmit(event string) bool {
	return !e.hasStarted() || e.app.ShouldEmit(event)
}

// Heard reports whether somebody listens, so far as that is known: before all have started
// it is not.
func (e *Emitter) Heard(event string) bool {
	return e.hasStarted() && e.app.ShouldEmit(event)
}

// Emit emits an event.
func (e *Emitter) Emit(event string, fields map[string]any) {
	if e.hasStarted() || !e.wait(func() { e.app.Emit(e.ctx, event, fields) }) {
		e.app.Emit(e.ctx, event, fields)
	}
}

func (e *Emitter) hasStarted() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.started
}

// wait has emit called at the start. It is false if that is over already.
func (e *Emitter) wait(emit func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.started && len(e.waiting) < mostWaiting {
		e.waiting = append(e.waiting, emit)
	}
	return !e.started
}

// Interface guard
var _ caddyevents.Handler = (*Emitter)(nil)
