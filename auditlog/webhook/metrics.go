package webhook

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gateway18789/caddy-ollama/auditlog/collectors"
)

// Results of deliveries, as metrics name them.
const (
	resultDelivered = "delivered"
	resultFailed    = "failed"
	resultDropped   = "dropped"
)

// What counts up lives as long as the process, through reloads. No label names a receiver,
// whose URL may be a secret.
var (
	deliveriesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_event_webhook_deliveries_total",
		Help: "Alarms by what became of them.",
	}, []string{"result"})
	queueLength = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "caddy_event_webhook_queue_length",
		Help: "Alarms that wait.",
	}, func() float64 {
		waiting := 0
		receivers.Range(func(_, value any) bool {
			waiting += value.(*receiver).courier.Waiting()
			return true
		})
		return float64(waiting)
	})
)

func init() {
	for _, result := range []string{resultDelivered, resultFailed, resultDropped} {
		deliveriesTotal.WithLabelValues(result)
	}
}

func registerMetrics(registry *prometheus.Registry) error {
	return collectors.Register(registry, deliveriesTotal, queueLength)
}
