package ollamaadapter

import (
	"context"
	"errors"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// watch cancels a request to the upstream that takes too long. The cause of its
// context tells why.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	silence    *time.Timer
	allowed    atomic.Int64 // how long the upstream may be silent now
	delivering atomic.Bool  // it is the client that is slow

	end    *time.Timer // of max_duration; nil if there is none
	unheed func() bool
}

// errTooLong is the end of an answer that is in itself sound.
var errTooLong error = blameless{errors.New("the answer takes longer than max_duration")}

// lingering is how long an upstream may keep its answer open after the last line of
// it: time enough for the end of the body, which keeps the connection usable.
const lingering = time.Second

// watch begins to watch a request that is made for r's sake, until the deadline if
// there is one.
func (h *Handler) watch(r *http.Request, deadline time.Time) *watch {
	w := new(watch)
	w.ctx, w.cancel = context.WithCancelCause(r.Context())
	w.silence = time.AfterFunc(math.MaxInt64, w.silent)
	w.expect(*h.FirstByteTimeout)
	if !deadline.IsZero() {
		w.end = time.AfterFunc(time.Until(deadline), func() { w.cancel(errTooLong) })
	}
	w.unheed = context.AfterFunc(exit.ctx, func() { w.cancel(blameless{translate.ErrStopping}) })
	return w
}

// expect allows the upstream to be silent from now on for so long; 0: for ever.
func (w *watch) expect(silence caddy.Duration) {
	if silence == 0 {
		silence = math.MaxInt64
	}
	w.allowed.Store(int64(silence))
	w.silence.Reset(time.Duration(silence))
}

func (w *watch) silent() {
	if w.delivering.Load() {
		w.silence.Reset(time.Duration(w.allowed.Load()))
		return
	}
	w.cancel(translate.ErrStalled)
}

// close ends the watch, and with it whatever still runs at the upstream.
func (w *watch) close() {
	w.cancel(nil)
	w.silence.Stop()
	if w.end != nil {
		w.end.Stop()
	}
	w.unheed()
}
