package auditlog

import (
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/auditlog/emitter"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// configuration is one that a handler is of, with those who listen to events in it.
type configuration struct {
	ctx    caddy.Context
	events *emitter.Emitter
}

// configurations are those that have a handler and have not ended, the oldest first.
type configurations struct {
	mu  sync.Mutex
	all []*configuration
}

// listening are those of this process.
var listening configurations

// join adds the handler's configuration.
func (l *configurations) join(ctx caddy.Context) (*configuration, error) {
	events, err := emitter.Of(ctx)
	if err != nil {
		return nil, err
	}
	c := &configuration{ctx, events}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, c)
	return c, nil
}

// leave takes it away again.
func (l *configurations) leave(c *configuration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(other *configuration) bool { return other == c })
}

// inForce is the configuration in force, nil if there is none. That is the oldest: Caddy
// ends one when the next has begun, and may still reject those that are younger. A request
// that has outlived its own is told to those who listen now.
func (l *configurations) inForce() *configuration {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		if c.ctx.Err() == nil {
			return c
		}
	}
	return nil
}

// emit tells those who listen of an event, with the request's record and one more field
// if it has a value.
func (c *configuration) emit(event string, rec *record.Record, field, value string) {
	if !c.events.ShouldEmit(event) {
		return
	}
	data := rec.Fields()
	if value != "" {
		data[field] = value
	}
	c.events.Emit(event, data)
}
