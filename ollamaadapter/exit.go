package ollamaadapter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// exit is the end of the process. When Caddy's grace_period is nearly over, answers
// that are not complete by then are ended in a way that clients and the audit log
// can tell; a little later the connections would be cut. A reload ends nothing.
var exit = newExit()

type ending struct {
	ctx    context.Context // over when answers have to end
	cancel context.CancelFunc
	once   sync.Once

	underway atomic.Int64 // exchanges, of every configuration so far
}

func newExit() *ending {
	e := new(ending)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// longestFarewell is the most that is taken off the grace period for the farewell.
const longestFarewell = 3 * time.Second

// heed makes the server that a handler is in tell of its shutdown.
func (e *ending) heed(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return // in a test
	}
	server.RegisterOnShutdown(func() {
		if !caddy.Exiting() {
			return
		}
		app, err := ctx.AppIfConfigured("http")
		if err != nil {
			return
		}
		if grace := time.Duration(app.(*caddyhttp.App).GracePeriod); grace > 0 {
			e.once.Do(func() { time.AfterFunc(grace-min(grace/2, longestFarewell), e.cancel) })
		}
	})
	// Caddy waits for the answers of earlier configurations only as long as their own
	// grace period, counted from the reload, lasts.
	server.RegisterOnStop(func(ctx context.Context) error {
		if caddy.Exiting() {
			e.await(ctx)
		}
		return nil
	})
}

// settling is for what an exchange leaves to the handlers and the connection around
// it: its record and its last bytes. Nobody tells when they are out.
const settling = 250 * time.Millisecond

// await waits until no exchange is under way, or the grace period is over.
func (e *ending) await(ctx context.Context) {
	if e.underway.Load() == 0 {
		return
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for e.underway.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	time.Sleep(settling)
}
