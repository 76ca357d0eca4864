package ratelimit

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// zones holds the state of each zone name while any configuration uses it.
var zones = caddy.NewUsagePool()

// zone is the state that handlers share, and which of them do.
type zone struct {
	limit.Store
	name    string
	metrics zoneMetrics
	keeper  *keeper // of a zone in memory; nil: Redis keeps the blocks
	close   func()

	mu     sync.Mutex
	claims []*claim // one of each configuration, oldest first
}

// claim is what the handlers of one configuration that share a zone agree on.
type claim struct {
	// configuration stands for it: each has a metrics registry of its own.
	configuration any
	settings      string
	handlers      int

	throttle *Throttle // the first of them
	ctx      caddy.Context
	events   *caddyevents.App
}

func newZone(name string, store *memory.Zone, keeper *keeper) *zone {
	keeper.start(store)
	return &zone{Store: store, name: name, metrics: metricsOf(name), keeper: keeper, close: keeper.stop}
}

// claimFor says that a handler uses the zone with its settings. Handlers of one
// configuration must have the same; those of the configuration before may differ.
func (z *zone) claimFor(ctx caddy.Context, t *Throttle) (*claim, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("getting the events app: %w", err)
	}
	configuration := ctx.GetMetricsRegistry()
	settings := fmt.Sprintf("%+v %d %d %v %s", t.policy, t.IPv4Prefix, t.IPv6Prefix, t.exempt, t.Key)

	if z.rival(configuration) {
		return nil, fmt.Errorf("zone %q: two handlers use the zone with different stores: give one of them a zone name of its own", z.name)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	i := slices.IndexFunc(z.claims, func(c *claim) bool { return c.configuration == configuration })
	if i < 0 {
		i = len(z.claims)
		z.claims = append(z.claims, &claim{
			configuration: configuration, settings: settings, throttle: t, ctx: ctx, events: app.(*caddyevents.App),
		})
	}
	c := z.claims[i]
	if c.settings != settings {
		return nil, fmt.Errorf("zone %q: %w", z.name,
			errors.New("two handlers use the zone with different limits: give one of them a zone name of its own"))
	}
	c.handlers++
	z.useStorage()
	return c, nil
}

// unclaim takes one successful claimFor back.
func (z *zone) unclaim(c *claim) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if c.handlers--; c.handlers > 0 {
		return
	}
	z.claims = slices.DeleteFunc(z.claims, func(other *claim) bool { return other == c })
	z.useStorage()
}

// useStorage keeps blocks in the storage of the newest configuration.
func (z *zone) useStorage() {
	if n := len(z.claims); n > 0 && z.keeper != nil {
		z.keeper.use(z.claims[n-1].ctx.Storage())
	}
}

// newest is the claim of the newest configuration, nil if there is none.
func (z *zone) newest() *claim {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.claims) == 0 {
		return nil
	}
	return z.claims[len(z.claims)-1]
}

// Destruct implements caddy.Destructor. Requests may still hold the zone; what they
// do from now on is not kept.
func (z *zone) Destruct() error {
	z.close()
	return nil
}

// tellOfBlock tells the log, the metrics and whoever listens that a client is blocked.
func (t *Throttle) tellOfBlock(block limit.Block, address string) {
	length := block.Until.Sub(block.Since)
	t.zone.metrics.countBlock(block.Cause)
	t.logger.Warn("client blocked",
		zap.String("client_ip", address), zap.String("client", display(block.Client, t.IPv4Prefix, t.IPv6Prefix)),
		zap.String("cause", string(block.Cause)), zap.Duration("duration", length), zap.Int("repeats", block.Repeats))

	// after a reload, events of the old configuration would reach nobody
	c := t.claim
	if c.ctx.Err() != nil {
		if c = t.zone.newest(); c == nil {
			return
		}
	}
	if !c.events.ShouldEmit(eventBlocked) {
		return
	}
	c.events.Emit(c.ctx, eventBlocked, map[string]any{
		"zone":      t.zone.name,
		"client":    display(block.Client, t.IPv4Prefix, t.IPv6Prefix),
		"client_ip": address,
		"cause":     string(block.Cause),
		"since":     block.Since.UTC().Format(time.RFC3339Nano),
		"until":     block.Until.UTC().Format(time.RFC3339Nano),
		"seconds":   wholeSeconds(length),
		"repeats":   block.Repeats,
	})
}

// eventBlocked is the event that a client is blocked.
const eventBlocked = "ip_throttle.blocked"
