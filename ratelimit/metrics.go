package ratelimit

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gateway18789/caddy-ollama/auditlog/collectors"
	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// Verdicts on requests, as metrics name them.
const (
	verdictPassed             = "passed"
	verdictExempt             = "exempt"
	verdictRateLimited        = "rate_limited"
	verdictBlocked            = "blocked"
	verdictOverCapacity       = "over_capacity"
	verdictClientOverCapacity = "client_over_capacity"
	verdictGone               = "client_gone" // while it waited
	verdictCancelled          = "cancelled"   // likewise, by the operator
	verdictUnavailable        = "store_unavailable"
)

const metricPrefix = "caddy_ip_throttle_"

// What counts up lives as long as the process, through reloads. No label names a
// client: there may be millions.
var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: metricPrefix + "requests_total",
		Help: "Requests by what became of them.",
	}, []string{"zone", "verdict"})
	blocksTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: metricPrefix + "blocks_total",
		Help: "Blocks of clients by their cause.",
	}, []string{"zone", "cause"})
	queueWaitSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    metricPrefix + "queue_wait_seconds",
		Help:    "How long requests waited for a slot, whether they got one or not.",
		Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	}, []string{"zone"})
	storeErrorsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: metricPrefix + "store_errors_total",
		Help: "Times that blocks could not be read from or written to storage.",
	}, []string{"zone"})
)

// zoneMetrics are those of one zone, with no need to look them up for each request.
type zoneMetrics struct {
	requests    map[string]prometheus.Counter
	blocks      map[limit.Cause]prometheus.Counter
	queueWait   prometheus.Observer
	storeErrors prometheus.Counter
}

func metricsOf(zone string) zoneMetrics {
	m := zoneMetrics{
		requests:    make(map[string]prometheus.Counter),
		blocks:      make(map[limit.Cause]prometheus.Counter),
		queueWait:   queueWaitSeconds.WithLabelValues(zone),
		storeErrors: storeErrorsTotal.WithLabelValues(zone),
	}
	for _, verdict := range []string{
		verdictPassed, verdictExempt, verdictRateLimited, verdictBlocked,
		verdictOverCapacity, verdictClientOverCapacity, verdictGone, verdictCancelled, verdictUnavailable,
	} {
		m.requests[verdict] = requestsTotal.WithLabelValues(zone, verdict)
	}
	for _, cause := range []limit.Cause{limit.ErrorsInARow, limit.ErrorsInWindow, limit.ByHand} {
		m.blocks[cause] = blocksTotal.WithLabelValues(zone, string(cause))
	}
	return m
}

func (z *zone) count(verdict string) { z.metrics.requests[verdict].Inc() }

func (m zoneMetrics) countBlock(cause limit.Cause) { m.blocks[cause].Inc() }

// gauges tells how things are in every zone when somebody asks.
type gauges struct {
	clients, inFlight, concurrencyLimit, blocked, waiting *prometheus.Desc
}

func newGauges() *gauges {
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(metricPrefix+name, help, []string{"zone"}, nil)
	}
	return &gauges{
		clients:          gauge("clients", "Clients that are remembered."),
		inFlight:         gauge("in_flight", "Requests in flight."),
		concurrencyLimit: gauge("concurrency_limit", "Requests that may be in flight, where that is limited."),
		blocked:          gauge("blocked_clients", "Clients that are blocked."),
		waiting:          gauge("queue_length", "Requests that wait for a slot."),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.clients, g.inFlight, g.concurrencyLimit, g.blocked, g.waiting} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. While a configuration takes over that has
// another store, there are two zones of one name: they count together.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	counts := make(map[string]map[*prometheus.Desc]int)
	for _, z := range allZones() {
		if counts[z.name] == nil {
			counts[z.name] = make(map[*prometheus.Desc]int)
		}
		counts[z.name][g.clients] += z.Clients()
		counts[z.name][g.inFlight] += z.InFlight()
		counts[z.name][g.blocked] += z.BlocksInForce()
		counts[z.name][g.waiting] += z.Waiting()
		if c := z.inForce(); c != nil && c.throttle.policy.Concurrency > 0 {
			counts[z.name][g.concurrencyLimit] += c.throttle.policy.Concurrency
		}
	}
	for zone, count := range counts {
		for desc, n := range count {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), zone)
		}
	}
}

func allZones() (all []*zone) {
	zones.Range(func(_, value any) bool {
		all = append(all, value.(*zone))
		return true
	})
	return all
}

var theGauges = newGauges()

// registerMetrics makes a configuration's registry tell them.
func registerMetrics(registry *prometheus.Registry) error {
	return collectors.Register(registry, requestsTotal, blocksTotal, queueWaitSeconds, storeErrorsTotal, storeUp, storeOutagesTotal, theGauges)
}
