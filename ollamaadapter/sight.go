package ollamaadapter

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gateway18789/caddy-ollama/auditlog/collectors"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// What requests see of the upstreams is this process's, through reloads.
var (
	upstreamErrorsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_ollama_adapter_upstream_errors_total",
		Help: "Requests that the upstream has failed, by how.",
	}, []string{"reason"})
	// a vector, because there is nothing to tell before the first request
	upstreamUp = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "caddy_ollama_adapter_upstream_up",
		Help: "1 if the upstream that was asked last has answered, be it with an error, 0 if it has not.",
	}, nil)
	upUpstream = sync.OnceValue(func() prometheus.Gauge { return upstreamUp.WithLabelValues() })
	upstreams  = new(sights)
)

func init() {
	for _, reason := range []string{record.UpstreamError, record.UpstreamStalled} {
		upstreamErrorsTotal.WithLabelValues(reason)
	}
}

func registerMetrics(registry *prometheus.Registry) error {
	return collectors.Register(registry, upstreamErrorsTotal, upstreamUp)
}

// upstreamFailure is the reason of a request that the upstream has failed, empty of all
// others: the record tells, or else the status that Caddy has given it.
func upstreamFailure(rec *record.Record, err error) string {
	switch {
	case rec.Reason == record.UpstreamError, rec.Reason == record.UpstreamStalled:
		return rec.Reason
	case rec.Reason == "" && unanswered(err):
		return record.UpstreamError
	}
	return ""
}

// end counts a request that has ended, if that was the upstream's fault, and lets its
// record tell of the upstreams' turns.
func (s *sights) end(rec *record.Record, err error) {
	failure := upstreamFailure(rec, err)
	if failure != "" {
		upstreamErrorsTotal.WithLabelValues(failure).Inc()
	}
	rec.UpstreamTurns = s.take(failure != "")
}

// sights is which upstreams are down, by what requests have seen of them.
type sights struct {
	mu    sync.Mutex
	down  map[string]bool
	well  atomic.Bool           // none is down
	turns []record.UpstreamTurn // that no request has taken to its record yet
}

// mostSights bounds what is remembered: addresses are the operator's, but can be many.
const mostSights = 100

// note takes in what a request has seen of the upstream at an address, which is empty if
// Caddy has not even found one to ask.
func (s *sights) note(address string, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if up {
		upUpstream().Set(1)
		if s.down[address] || s.down[""] {
			delete(s.down, address)
			delete(s.down, "")
			s.turn(record.UpstreamTurn{Address: address, Up: true})
		}
		s.well.Store(len(s.down) == 0)
		return
	}
	upUpstream().Set(0)
	s.well.Store(false)
	if s.down[address] || len(s.down) >= mostSights {
		return
	}
	if s.down == nil {
		s.down = make(map[string]bool)
	}
	s.down[address] = true
	s.turn(record.UpstreamTurn{Address: address})
}

func (s *sights) turn(t record.UpstreamTurn) {
	if len(s.turns) < mostSights {
		s.turns = append(s.turns, t)
	}
}

// take returns the turns that nobody has told yet. That an upstream is down is for a
// request to tell that has failed for it, not for one that ends well at the same time.
func (s *sights) take(failed bool) []record.UpstreamTurn {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.turns)
	if n == 0 || !failed && !s.turns[n-1].Up {
		return nil
	}
	turns := s.turns
	s.turns = nil
	return turns
}

// see notes what became of asking the upstream.
func (s *sights) see(a *upstreamAnswer) {
	up, seen := a.sight()
	switch {
	case !seen:
		return
	case up && s.well.Load(): // as nearly always: then it does not matter which one it is
		upUpstream().Set(1)
		return
	}
	s.note(a.address(), up)
}

// sight is whether the upstream is there, if that could be seen. One that answers is, be it
// with an error, but not one that keeps silent for first_byte_timeout.
func (a *upstreamAnswer) sight() (up, seen bool) {
	ctx := a.asking
	switch {
	case a.status != 0 && (a.status != record.StatusClientGone || ctx.Err() == nil): // else that is reverse_proxy's word
		return true, true
	case errors.Is(context.Cause(ctx), translate.ErrStalled):
		return false, true
	case ctx.Err() != nil: // its client has left
		return false, false
	}
	return false, unanswered(a.err)
}

// unanswered reports whether the error is one of Caddy's for an upstream that it could not
// get an answer from.
func unanswered(err error) bool {
	he, ok := errors.AsType[caddyhttp.HandlerError](err)
	return ok && (he.StatusCode == http.StatusBadGateway || he.StatusCode == http.StatusServiceUnavailable || he.StatusCode == http.StatusGatewayTimeout)
}
