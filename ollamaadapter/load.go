package ollamaadapter

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// loads lets clients that want the same model wait together for it to be loaded.
// Ollama ties a load to the one request that caused it: if that client leaves, the
// load is lost, and the next one waiting has it begin anew (server/sched.go). So a
// request of its own loads the model, and lives as long as one of them waits.
type loads struct {
	mu      sync.Mutex
	running map[string]*load
	warm    map[string]time.Time // until when models count as loaded
}

// load is one load that is going on.
type load struct {
	waiting int
	cancel  context.CancelCauseFunc
	over    chan struct{}   // closed when it is
	ended   bool            // it is
	stalled bool            // for one who waited
	loaded  bool            // the model was not there, and now it is
	refusal *upstreamAnswer // if Ollama cannot load the model
}

const (
	// warmFor is how long a model counts as loaded after an answer of it. Ollama
	// keeps it for five minutes, if no other needs its place.
	warmFor = 30 * time.Second
	// realLoad is how long loading takes if the model was not there before.
	realLoad = 300 * time.Millisecond
)

// awaitLoad waits until the model of an exchange is loaded, together with all others
// that wait for it. It returns the upstream's answer if it cannot load the model.
// What else goes wrong is left for the request itself to find out.
func (h *Handler) awaitLoad(r *http.Request, next caddyhttp.Handler, exchange *translate.Exchange) (refusal *upstreamAnswer) {
	if exchange.Load == nil || !*h.CoalesceLoads {
		return nil
	}
	key := exchange.Load.Key
	l := h.loads.join(key, next, func(ctx context.Context) question {
		return h.question(apart(ctx, r), http.MethodPost, exchange.Path, exchange.Load.Body())
	})
	if l == nil {
		return nil
	}
	defer func() {
		cause := context.Cause(r.Context())
		if givenUp := h.loads.leave(key, l, cause); givenUp && cause == translate.ErrStalled {
			<-l.over // the record is to tell of the upstream that was asked
		}
	}()
	began := time.Now()
	select {
	case <-l.over:
		if l.loaded {
			record.From(r.Context()).LoadDuration += time.Since(began)
		}
		return l.refusal
	case <-r.Context().Done():
		return nil // the request will fail of that itself
	}
}

// apart is a request as Caddy makes them, of which nothing is shared with r, whose
// client may leave before it ends.
func apart(ctx context.Context, r *http.Request) *http.Request {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		server = new(caddyhttp.Server)
	}
	out := caddyhttp.PrepareRequest(r.Clone(ctx), caddy.NewReplacer(), newUpstreamAnswer(), server)
	for _, about := range []string{varModel, varConversation} {
		caddyhttp.SetVar(out.Context(), about, caddyhttp.GetVar(r.Context(), about))
	}
	return out
}

// join is a load to wait for; nil if there is none, because the model is loaded.
func (l *loads) join(key string, next caddyhttp.Handler, ask func(context.Context) question) *load {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.warm[key]) {
		return nil
	}
	one := l.running[key]
	if one == nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		one = &load{cancel: cancel, over: make(chan struct{})}
		if l.running == nil {
			l.running = make(map[string]*load)
		}
		l.running[key] = one
		go l.run(key, one, next, ask(ctx))
	}
	one.waiting++
	return one
}

// leave ends somebody's waiting for a load, unless it is over. Nobody else will need it
// then, if he was the last; so it is given up for the same reason. One that has stalled for
// him may still come for those that wait, but is none to begin to wait for.
func (l *loads) leave(key string, one *load, reason error) (givenUp bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one.waiting--
	if one.ended {
		return false
	}
	if reason == translate.ErrStalled {
		one.stalled = true
	}
	if (one.waiting == 0 || one.stalled) && l.running[key] == one {
		delete(l.running, key)
	}
	if one.waiting > 0 {
		return false
	}
	if one.stalled {
		reason = translate.ErrStalled // for all that it has been silent
	}
	one.cancel(reason)
	return true
}

// run asks Ollama to load a model.
func (l *loads) run(key string, one *load, next caddyhttp.Handler, q question) {
	defer one.cancel(nil)
	began := time.Now()
	upstream := newUpstreamAnswer()
	upstream.deliver = func([]byte) error { // the first byte tells enough
		if l.end(key, one, upstream, began) {
			time.AfterFunc(lingering, func() { one.cancel(nil) })
		}
		return nil
	}
	// on a goroutine of our own nobody else would catch a panic
	defer func() {
		p := recover()
		if p != nil {
			caddy.Log().Named("http.handlers.ollama_adapter").Error("panic while a model was loaded",
				zap.Any("panic", p), zap.Stack("stack"))
		}
		if p != nil || upstream.cut || upstream.err != nil {
			upstream.status = 0 // the requests will find out themselves
		}
		l.end(key, one, upstream, began)
	}()
	upstream.receive(next, q)
}

// end ends a load with what Ollama answers, unless it has ended before.
func (l *loads) end(key string, one *load, upstream *upstreamAnswer, began time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one.ended {
		return false
	}
	one.ended = true
	defer close(one.over)
	if l.running[key] == one {
		delete(l.running, key)
	}
	switch {
	case upstream.status == http.StatusOK:
		if one.loaded = time.Since(began) > realLoad; one.loaded {
			clear(l.warm) // another model may have had to go
		}
		l.keepWarm(key, warmFor)
	case upstream.status == http.StatusNotFound, upstream.status >= 500:
		one.refusal = upstream
	}
	return true
}

// answered says that there was an answer of a model, which is to stay loaded for so
// long.
func (l *loads) answered(exchange *translate.Exchange) {
	if exchange.Load == nil {
		return
	}
	keep := warmFor
	if seconds := exchange.KeepAlive; seconds != nil && *seconds >= 0 {
		keep = min(keep, time.Duration(min(*seconds, warmFor.Seconds())*float64(time.Second)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keepWarm(exchange.Load.Key, keep)
}

func (l *loads) keepWarm(key string, keep time.Duration) {
	now := time.Now()
	for other, until := range l.warm {
		if now.After(until) {
			delete(l.warm, other)
		}
	}
	if l.warm == nil {
		l.warm = make(map[string]time.Time)
	}
	l.warm[key] = now.Add(keep)
}
