package auditlog

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gateway18789/caddy-ollama/auditlog/collectors"
	"github.com/gateway18789/caddy-ollama/auditlog/genai"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// mostModels is how many models have a label of their own.
const mostModels = 100

// metrics count through reloads, as long as the process lives. No label names a client.
type metrics struct {
	duration, firstChunk, perChunk, tokens *prometheus.HistogramVec
	requests                               *prometheus.CounterVec
	inFlight                               prometheus.Gauge
	failures                               prometheus.Counter

	models *genai.Models
}

var counted = newMetrics()

func newMetrics() *metrics {
	const operation, model = "gen_ai_operation_name", "gen_ai_request_model"
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, append([]string{operation, model}, labels...))
	}
	m := &metrics{
		duration: histogram("gen_ai_client_operation_duration_seconds",
			"How long model calls took, by why they failed; empty: they did not.", genai.Seconds, "error_type"),
		firstChunk: histogram("gen_ai_client_operation_time_to_first_chunk_seconds",
			"How long clients of streams waited for the first word.", genai.Seconds),
		perChunk: histogram("gen_ai_client_operation_time_per_output_chunk_seconds",
			"How long the chunks of a stream after its first took, on average of each stream.", genai.Seconds),
		tokens: histogram("gen_ai_client_token_usage",
			"Tokens of model calls, as far as the upstream has counted them.", genai.Tokens, "gen_ai_token_type"),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caddy_audit_log_requests_total", Help: "Requests by how they ended, and why.",
		}, []string{"outcome", "reason"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "caddy_audit_log_in_flight", Help: "Requests in flight.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "caddy_audit_log_failures_total",
			Help: "Records that could not be written to their audit file when their requests ended. Some are written later.",
		}),
		models: genai.NewModels(mostModels),
	}
	// Prometheus sees no increase to the first value of a series, so the first forged
	// token must not be the first that it sees.
	for _, reason := range everyReason() {
		m.requestsOf(&record.Record{Reason: reason})
	}
	return m
}

// everyReason is every one that a request is counted by, if handlers are our own.
func everyReason() []string {
	all := append(record.Reasons(), record.OtherReason)
	for _, fault := range token.Faults() {
		all = append(all, record.BadToken+string(fault))
	}
	return all
}

// requestsOf counts the requests that ended like this one.
func (m *metrics) requestsOf(rec *record.Record) prometheus.Counter {
	return m.requests.WithLabelValues(rec.Outcome(), reasonLabel(rec))
}

// register makes a configuration's registry tell them.
func (m *metrics) register(registry *prometheus.Registry) error {
	return collectors.Register(registry, m.duration, m.firstChunk, m.perChunk, m.tokens, m.requests, m.inFlight, m.failures)
}

// count counts a request that has ended.
func (m *metrics) count(rec *record.Record) {
	m.requestsOf(rec).Inc()
	measures, is := genai.Measure(rec)
	if !is {
		return
	}
	operation, model := measures.Operation, m.models.Label(rec)
	m.duration.WithLabelValues(operation, model, measures.ErrorType).Observe(measures.Duration.Seconds())
	if d := measures.TimeToFirstChunk; d != nil {
		m.firstChunk.WithLabelValues(operation, model).Observe(d.Seconds())
	}
	if d := measures.TimePerOutputChunk; d != nil {
		m.perChunk.WithLabelValues(operation, model).Observe(d.Seconds())
	}
	if n := measures.InputTokens; n != nil {
		m.tokens.WithLabelValues(operation, model, "input").Observe(float64(*n))
	}
	if n := measures.OutputTokens; n != nil {
		m.tokens.WithLabelValues(operation, model, "output").Observe(float64(*n))
	}
}

// reasonLabel is the reason, with its cause if that is one of jwt_auth's.
func reasonLabel(rec *record.Record) string {
	if cause, refused := strings.CutPrefix(rec.Reason, record.BadToken); refused && token.Fault(cause).Known() {
		return rec.Reason
	}
	return rec.ReasonClass()
}
