// Package collectors makes metrics that outlive a configuration known to its registry.
package collectors

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Register registers those that the registry does not have yet: Caddy makes a registry
// for each configuration, and several handlers of one have the same metrics.
func Register(registry prometheus.Registerer, all ...prometheus.Collector) error {
	for _, c := range all {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}
