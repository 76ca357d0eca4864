package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/emitter"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
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
	claims []*claim // of each configuration that has not ended one, oldest first
}

// claim is what the handlers of one configuration that share a zone agree on.
type claim struct {
	// configuration stands for it: each has a metrics registry of its own.
	configuration any
	settings      string
	handlers      int

	throttle *Throttle // the first of them
	ctx      caddy.Context
	events   *emitter.Emitter
}

func newZone(name string, store *memory.Zone, keeper *keeper) *zone {
	keeper.start(store)
	return &zone{Store: store, name: name, metrics: metricsOf(name), keeper: keeper, close: keeper.stop}
}

// claimFor says that a handler uses the zone with its settings. Handlers of one
// configuration must have the same; those of the configuration before may differ.
func (z *zone) claimFor(ctx caddy.Context, t *Throttle) (*claim, error) {
	configuration := ctx.GetMetricsRegistry()
	settings := fmt.Sprintf("%+v %d %d %v %s", t.policy, t.IPv4Prefix, t.IPv6Prefix, t.exempt, t.Key)

	if z.rival(configuration) {
		return nil, fmt.Errorf("zone %q: two handlers use the zone with different stores: give one of them a zone name of its own", z.name)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	i := slices.IndexFunc(z.claims, func(c *claim) bool { return c.configuration == configuration })
	if i < 0 {
		events, err := emitter.Of(ctx)
		if err != nil {
			return nil, err
		}
		i = len(z.claims)
		z.claims = append(z.claims, &claim{
			configuration: configuration, settings: settings, throttle: t, ctx: ctx, events: events,
		})
	}
	c := z.claims[i]
	if c.settings != settings {
		return nil, fmt.Errorf("zone %q: %w", z.name,
			errors.New("two handlers use the zone with different limits: give one of them a zone name of its own"))
	}
	c.handlers++
	return c, nil
}

// unclaim takes one successful claimFor back.
func (z *zone) unclaim(c *claim) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if c.handlers--; c.handlers > 0 {
		return
	}
	first := z.claims[0] == c
	z.claims = slices.DeleteFunc(z.claims, func(other *claim) bool { return other == c })
	if first && len(z.claims) > 0 && z.keeper != nil {
		z.keeper.use(z.claims[0].ctx.Storage(), z.claims[0].throttle.logger)
	}
}

// inForce is the claim of the configuration in force, nil if there is none. That is
// the oldest that has not ended: Caddy ends one when the next has begun, and may still
// reject those that are younger.
func (z *zone) inForce() *claim {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, c := range z.claims {
		if c.ctx.Err() == nil {
			return c
		}
	}
	return nil
}

// usedBy reports whether the configuration has a handler that uses the zone.
func (z *zone) usedBy(configuration any) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.ContainsFunc(z.claims, func(c *claim) bool { return c.configuration == configuration })
}

// Destruct implements caddy.Destructor. Requests may still hold the zone; what they
// do from now on is not kept.
func (z *zone) Destruct() error {
	z.close()
	return nil
}

// tellOfBlock tells the log, the metrics and whoever listens that a client is blocked. The
// event waits for the end of the request that caused it, if that has a record, which it
// then has too.
func (t *Throttle) tellOfBlock(ctx context.Context, block limit.Block, address string) {
	length := block.Until.Sub(block.Since)
	t.zone.metrics.countBlock(block.Cause)
	t.logger.Warn("client blocked",
		zap.String("client_ip", address), zap.String("client", display(block.Client, t.IPv4Prefix, t.IPv6Prefix)),
		zap.String("cause", string(block.Cause)), zap.Duration("duration", length), zap.Int("repeats", block.Repeats))

	told := map[string]any{
		"zone":      t.zone.name,
		"client":    display(block.Client, t.IPv4Prefix, t.IPv6Prefix),
		"client_ip": address,
		"cause":     string(block.Cause),
		"since":     block.Since.UTC().Format(time.RFC3339Nano),
		"until":     block.Until.UTC().Format(time.RFC3339Nano),
		"seconds":   wholeSeconds(length),
		"repeats":   block.Repeats,
	}
	rec, recorded := record.Of(ctx)
	if !recorded {
		t.zone.emit(eventBlocked, told)
		return
	}
	isUser := rec.UserID != "" && block.Client == user(rec.UserID)
	rec.AtEnd(func() {
		if t.zone.listener(eventBlocked) == nil {
			return
		}
		maps.Copy(told, rec.Fields())
		if isUser { // whom the record may call by a pseudonym by now
			told["client"] = user(rec.UserID).Name
		}
		t.zone.emit(eventBlocked, told)
	})
}

// eventBlocked is the event that a client is blocked.
const eventBlocked = "ip_throttle.blocked"
