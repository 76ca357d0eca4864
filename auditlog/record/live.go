package record

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Live is what others may see of a request while it goes on: its Record is the
// request's own goroutine's alone.
type Live struct {
	shown  atomic.Pointer[Shown]
	tokens atomic.Int64
}

// Shown is what the record said when it was shown last.
type Shown struct {
	UserID, Operation, Model string
	Stream                   bool
	TimeToFirstChunk         time.Duration
}

// Watch lets the caller see what becomes of the request. Call it before anybody else has
// the record.
func (r *Record) Watch() *Live {
	r.live = new(Live)
	r.live.shown.Store(new(Shown))
	return r.live
}

// Show shows what the record says by now, if somebody looks.
func (r *Record) Show() {
	if r.live == nil {
		return
	}
	r.live.shown.Store(&Shown{
		UserID: r.UserID, Operation: r.Operation, Model: r.RequestModel, Stream: r.Stream,
		TimeToFirstChunk: r.TimeToFirstChunk,
	})
}

// ShowTokens shows how many tokens the answer has by now, if somebody looks. It is called
// for each piece of a stream.
func (r *Record) ShowTokens(n int) {
	if r.live != nil {
		r.live.tokens.Store(int64(n))
	}
}

// Shown is what the request has shown of itself.
func (l *Live) Shown() Shown { return *l.shown.Load() }

// Tokens is how many tokens its answer has so far.
func (l *Live) Tokens() int { return int(l.tokens.Load()) }

// ErrCancelled is the cause of a request's context that an operator has cancelled. So
// whoever works for the request can tell it from a client that has left. That it is a
// context.Canceled, too, tells Caddy's reverse_proxy that no upstream has failed.
var ErrCancelled error = cancelled{}

type cancelled struct{}

func (cancelled) Error() string        { return "the operator of this server has ended the request" }
func (cancelled) Is(target error) bool { return target == context.Canceled }

// WasCancelled reports whether an operator has cancelled the request of the context.
func WasCancelled(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrCancelled)
}
