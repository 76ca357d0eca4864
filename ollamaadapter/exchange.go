package ollamaadapter

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// The forms of answers.
const (
	formJSON   = "application/json"
	formEvents = "text/event-stream"
	formLines  = "application/x-ndjson" // of Ollama's own dialect
)

// exchange asks the upstream for an answer, choice after choice, and brings it to
// the client in one of the forms.
func (h *Handler) exchange(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, exchange *translate.Exchange, answer answer, form string) (err error) {
	exit.underway.Add(1)
	defer exit.underway.Add(-1)
	d := &delivery{client: w, record: record.From(r.Context()), answer: answer, contentType: form, streamed: form != formJSON, logger: h.logger}
	if d.streamed || h.HeartbeatJSON {
		d.interval = time.Duration(*h.Heartbeat)
	}
	d.start()
	defer func() {
		d.stop()
		summary := answer.Summary()
		note(r, summary)
		d.record.ContextTruncated = exchange.WasCut(summary)
	}()
	var deadline time.Time
	if h.MaxDuration > 0 {
		deadline = time.Now().Add(time.Duration(h.MaxDuration))
	}
	began := time.Now()
	for i := range exchange.Requests {
		if done, err := h.choice(d, r, next, exchange, i, deadline); done || err != nil {
			return err
		}
	}
	if !exchange.Embeds() { // which waits in no queue to speak of
		h.pace.add(time.Since(began))
	}
	return nil
}

// choice asks for one choice and brings it to the client. done is true if it was
// the last thing that the client could be sent.
func (h *Handler) choice(d *delivery, r *http.Request, next caddyhttp.Handler, exchange *translate.Exchange, i int, deadline time.Time) (done bool, err error) {
	watch := h.watch(r, deadline)
	defer watch.close()
	r = r.WithContext(watch.ctx)
	upstream := h.awaitLoad(r, next, exchange)
	if upstream == nil {
		upstream = h.ask(d, watch, r, next, exchange, i)
	}
	cause := context.Cause(watch.ctx)
	switch standing := d.standing(); {
	case !standing.lost && standing.done && d.streamed:
		// all of it is sent; SDKs leave at [DONE], be it before Ollama's own end
	case standing.lost, cause == context.Canceled: // and no reason that only passes for it
		return true, d.leave(r)
	case standing.done, standing.bad: // whatever has become of the upstream since
	case cause == errTooLong && standing.said:
		return true, d.cutOff(r)
	default:
		if err := h.trouble(d, r, next, exchange, upstream, cause); err != nil {
			return true, d.fail(r, err)
		}
	}
	if err = d.closeChoice(); d.standing().lost {
		return true, d.leave(r)
	}
	if err != nil {
		return true, d.fail(r, incomplete(r, upstream.address(), err))
	}
	h.loads.answered(exchange)
	return false, nil
}

// trouble is what is wrong with an answer whose end did not come, as far as its lines
// do not tell; cause is why it was cancelled.
func (h *Handler) trouble(d *delivery, r *http.Request, next caddyhttp.Handler, exchange *translate.Exchange, upstream *upstreamAnswer, cause error) error {
	switch {
	case cause == errTooLong:
		return incomplete(r, upstream.address(), translate.ErrStalled)
	case cause != nil:
		return incomplete(r, upstream.address(), cause)
	case upstream.status == 0 && upstream.err != nil:
		d.stop() // the client's header is ours now
		return h.unasked(d.client, upstream.err)
	case upstream.status == 0 && !upstream.cut:
		return nobodyAnswered()
	case upstream.status == 0, upstream.status == http.StatusOK:
		return nil
	}
	d.stop() // the client's header is ours now
	err := h.upstreamFault(d.client, r, exchange.Path, upstream)
	if fault, ok := errors.AsType[*openai.Error](err); ok && fault.Code == openai.CodeContextLength && !h.engine() {
		exchange.TellLengths(fault, h.catalog.LoadedContext(r.Context(), h.asking(r, next), exchange.Model))
	}
	return err
}

// ask puts one request to the upstream and delivers what it answers.
func (h *Handler) ask(d *delivery, watch *watch, r *http.Request, next caddyhttp.Handler, exchange *translate.Exchange, i int) *upstreamAnswer {
	upstream := newUpstreamAnswer()
	if watch.ctx.Err() != nil {
		return upstream // nobody has had the time to answer, and none is to blame
	}
	out, err := h.upstreamJSON(r, exchange.Path, exchange.Requests[i])
	if err != nil {
		upstream.err = err
		return upstream
	}
	upstream.deliver = func(piece []byte) error {
		watch.delivering.Store(true)
		defer watch.delivering.Store(false)
		moved, done, err := d.take(piece)
		switch {
		case err != nil:
		case done:
			watch.expect(caddy.Duration(lingering))
		case moved:
			watch.expect(*h.StallTimeout)
		}
		return err
	}
	upstream.receive(next, out)
	return upstream
}
