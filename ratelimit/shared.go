package ratelimit

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis"
	"github.com/gateway18789/caddy-ollama/ratelimit/redisconfig"
)

// Events of a zone that gateways share.
const (
	eventStoreDown = "ip_throttle.store_down"
	eventStoreUp   = "ip_throttle.store_up"
)

var (
	storeUp = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: metricPrefix + "store_up",
		Help: "1 if the store that gateways share answers, 0 if this one goes on alone.",
	}, []string{"zone"})
	storeOutagesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: metricPrefix + "store_outages_total",
		Help: "Times that the store that gateways share was lost.",
	}, []string{"zone"})
)

// zoneKey is what a zone is pooled under: a configuration that changes the store
// begins with an empty one.
type zoneKey struct{ name, store string }

// mostGateways is far more than anybody has.
const mostGateways = 1000

// poolKey is that of the handler's zone.
func (t *Throttle) poolKey() zoneKey {
	if t.Redis == nil {
		return zoneKey{name: t.Zone}
	}
	return zoneKey{t.Zone, t.Redis.Identity() + t.OnStoreFailure}
}

// compileStore checks the options of the store.
func (t *Throttle) compileStore() error {
	switch redis.OnFailure(t.OnStoreFailure) {
	case "":
	case redis.Local, redis.Refuse, redis.Allow:
		if t.Redis == nil {
			return errors.New("on_store_failure: only store redis can fail")
		}
	default:
		return fmt.Errorf("on_store_failure %q: it must be local, refuse or allow", t.OnStoreFailure)
	}
	switch {
	case t.Gateways < 0 || t.Gateways > mostGateways:
		return fmt.Errorf("gateways %d: give a number from 1 to %d", t.Gateways, mostGateways)
	case t.Redis != nil:
		return t.Redis.Check()
	case t.Gateways != 0:
		return errors.New("gateways: only store redis is shared")
	}
	return nil
}

// newSharedZone returns one whose state is in Redis.
func newSharedZone(name string, o *redisconfig.Options, onFailure redis.OnFailure, logger *zap.Logger) (*zone, error) {
	client, err := o.Connect()
	if err != nil {
		return nil, err
	}
	if onFailure == "" {
		onFailure = redis.Local
	}
	if o.Literal() {
		logger.Warn(redisconfig.LiteralWarning, zap.String("zone", name))
	}
	z := &zone{name: name, metrics: metricsOf(name)}
	storeUp.WithLabelValues(name).Set(0)
	// Who listens to events may take its time. Neither a request nor what renews the
	// leases waits for it.
	shared := redis.New(redis.Config{
		Client: client, Prefix: o.KeyPrefix(), Name: name, Timeout: o.DecisionTimeout(), OnFailure: onFailure, Clock: time.Now,
		Blocked: func(b limit.Block) {
			if c := z.inForce(); c != nil {
				go c.throttle.tellOfBlock(c.ctx, b, "")
			}
		},
		Met: func() { storeUp.WithLabelValues(name).Set(1) },
		Down: func(err error) {
			storeUp.WithLabelValues(name).Set(0)
			storeOutagesTotal.WithLabelValues(name).Inc()
			logger.Error("the store that gateways share is lost; this one goes on alone",
				zap.String("zone", name), zap.String("on_store_failure", string(onFailure)), zap.Error(err))
			go z.emit(eventStoreDown, map[string]any{"zone": name, "on_store_failure": string(onFailure), "error": err.Error()})
		},
		Up: func(outage time.Duration) {
			storeUp.WithLabelValues(name).Set(1)
			logger.Info("the store that gateways share is back, and knows what happened meanwhile",
				zap.String("zone", name), zap.Duration("outage", outage))
			go z.emit(eventStoreUp, map[string]any{"zone": name, "seconds": outage.Seconds()})
		},
	})
	z.Store = shared
	z.close = func() { shared.Stop(func() { _ = client.Close() }) }
	return z, nil
}

// emit tells whoever listens in the configuration in force: those of one that has
// ended hear nothing any more.
func (z *zone) emit(event string, data map[string]any) {
	if c := z.listener(event); c != nil {
		c.events.Emit(event, data)
	}
}

// listener is the configuration in force if somebody listens to the event there.
func (z *zone) listener(event string) *claim {
	if c := z.inForce(); c != nil && c.events.ShouldEmit(event) {
		return c
	}
	return nil
}

// joinZone returns the handler's zone. One that is new has the blocks that were kept
// in the configuration's storage, or in Redis.
func (t *Throttle) joinZone(ctx caddy.Context) (*zone, error) {
	if t.Redis != nil {
		if err := t.Redis.CheckFiles(); err != nil {
			return nil, err
		}
	}
	t.pooled = t.poolKey()
	joined, _, err := zones.LoadOrNew(t.pooled, func() (caddy.Destructor, error) {
		if t.Redis != nil {
			return newSharedZone(t.Zone, t.Redis, redis.OnFailure(t.OnStoreFailure), t.logger)
		}
		return newZone(t.Zone, memory.New(), newKeeper(t.Zone, ctx.Storage(), t.logger)), nil
	})
	if err != nil {
		return nil, err
	}
	return joined.(*zone), nil
}

// rival is a zone of the same name with another store, that the same configuration uses.
func (z *zone) rival(configuration any) bool {
	for _, other := range allZones() {
		if other != z && other.name == z.name && other.usedBy(configuration) {
			return true
		}
	}
	return false
}
