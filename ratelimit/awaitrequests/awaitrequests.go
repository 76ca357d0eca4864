// Package awaitrequests loses no connection that was accepted before a change of the
// configuration, or a stop.
package awaitrequests

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(new(AwaitRequests))
}

// AwaitRequests is a listener wrapper that lets clients finish their first sentence when
// the configuration is changed, or Caddy stops. Go's server, once it is told to stop, closes
// a connection of HTTP/1.1 that it has accepted, without a word, when the first request on it
// arrives; for a client that makes a connection for its request that is a request lost.
//
// With this wrapper, the server of the old configuration first accepts no more, while that
// of the new one does; then it is given the time to read the first request of each connection
// that it has accepted, at most 5 seconds from when that was; only then is it told to stop.
// So once `caddy reload` is back, no new connection meets the old configuration either.
// A change usually takes some milliseconds longer by it, and at most some 5 seconds if
// somebody has just connected and says nothing.
//
// It may stand anywhere among the wrappers. It does nothing where the global option
// `shutdown_delay` is set, during which Caddy's old servers are meant to accept.
//
// The kernel turns away who is in the queue of a listener in the moment in which it is closed.
// So it is closed when nothing seems to wait there; surely nobody is lost if the queue is not
// Caddy's own, as with a listener that systemd has made (`bind fd/3`), or if Linux is told to
// move the queue to the next listener (`net.ipv4.tcp_migrate_req`). A connection of HTTP/1.1 on
// which a request was answered before, and which is idle, is closed as ever, and a request
// that is on its way on it in that moment is lost. HTTP/2 has a way to tell its clients.
type AwaitRequests struct {
	ctx       caddy.Context
	logger    *zap.Logger
	unheard   *unheard
	listeners []*listener
}

// CaddyModule implements caddy.Module.
func (*AwaitRequests) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.await_requests", New: func() caddy.Module { return new(AwaitRequests) }}
}

// Provision sets up the wrapper.
func (a *AwaitRequests) Provision(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return errors.New("await_requests is for the listeners of an HTTP server")
	}
	events, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("getting the events app: %w", err)
	}
	if err := events.(*caddyevents.App).On("stopping", a); err != nil {
		return fmt.Errorf("await_requests is not told when the configuration ends: %w", err)
	}
	a.ctx, a.logger, a.unheard = ctx, ctx.Logger(), newUnheard()
	server.RegisterConnState(a.unheard.observe)
	return nil
}

// WrapListener implements caddy.ListenerWrapper.
func (a *AwaitRequests) WrapListener(inner net.Listener) net.Listener {
	if app, err := a.ctx.App("http"); err == nil && app.(*caddyhttp.App).ShutdownDelay > 0 {
		a.logger.Warn("await_requests does nothing, because shutdown_delay is set")
		return inner
	}
	l := newListener(inner)
	a.listeners = append(a.listeners, l)
	return l
}

// Handle implements caddyevents.Handler: the configuration ends, and Caddy waits for this
// to return before it tells its servers so.
func (a *AwaitRequests) Handle(context.Context, caddy.Event) error {
	if len(a.listeners) == 0 {
		return nil
	}
	for _, l := range a.listeners {
		l.closeWhenQuiet()
	}
	for _, l := range a.listeners {
		l.awaitEnd(patience)
	}
	a.unheard.await()
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*AwaitRequests)(nil)
	_ caddy.ListenerWrapper = (*AwaitRequests)(nil)
	_ caddyevents.Handler   = (*AwaitRequests)(nil)
)
