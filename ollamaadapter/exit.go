package ollamaadapter

import (
	"context"
	"sync"
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
}
