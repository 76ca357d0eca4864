package ratelimit

import (
	"net/http"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// wait waits for a slot. end must be called when the request has been dealt with.
func (t *Throttle) wait(w http.ResponseWriter, r *http.Request, place limit.Place) (d limit.Decision, end func()) {
	since := time.Now()
	ctx, end := startAhead(w, r)
	d = place.Wait(ctx)
	waited := time.Since(since)
	record.From(r.Context()).QueueWait = waited
	t.zone.metrics.queueWait.Observe(waited.Seconds())
	return d, end
}
