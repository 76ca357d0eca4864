package auditfile

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gateway18789/caddy-ollama/auditlog/collectors"
)

// What counts up lives as long as the process, through reloads.
var (
	shipErrors = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caddy_audit_file_ship_errors_total",
		Help: "Attempts to ship audit files that failed. What was not acknowledged is sent again.",
	})
	shipLag = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "caddy_audit_file_ship_lag_lines",
		Help: "Lines of audit files that are shipped and whose receiver has not acknowledged them.",
	}, func() float64 {
		lag := uint64(0)
		for _, state := range States() {
			lag += state.Unshipped
		}
		return float64(lag)
	})
)

func registerMetrics(registry *prometheus.Registry) error {
	return collectors.Register(registry, shipErrors, shipLag)
}
