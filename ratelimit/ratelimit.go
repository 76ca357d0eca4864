// Package ratelimit provides the ip_throttle handler.
package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

func init() {
	caddy.RegisterModule(Throttle{})
}

// Throttle limits how fast each client may ask and how many requests may be in
// flight, and blocks a client for a while after a few errors in a row. Put it
// outside of whatever checks the request, so that it sees what that refuses.
//
// A client is an address, or a whole prefix: a home or a host has a /64 of IPv6.
// The address is Caddy's client IP, so `trusted_proxies` applies.
//
// Over the rate or over capacity the answer is 429, for a blocked client 403;
// both carry a `Retry-After` in whole seconds. For rate and block it is exact: who
// waits that long is let in. A request that is refused counts for nothing.
//
// The state is shared by all handlers of one zone name and lives through
// reloads; the limits are those of the configuration in force.
type Throttle struct {
	// How often a client may ask in the long run, as `<n>/<s|m|h>`. Empty: no limit.
	Rate string `json:"rate,omitempty"`
	// How many requests a client may send at once from idle. Default: 1.
	Burst int `json:"burst,omitempty"`
	// After how many client-caused errors in a row, and for how long, a client is
	// blocked. Not set: never.
	Penalty *Penalty `json:"penalty,omitempty"`
	// Which answers are client-caused errors. Default: 400 401 403 404 405 413 415
	// 422. Never 429, 499 or 5xx, which are not the client's fault.
	PenaltyStatus []int `json:"penalty_status,omitempty"`
	// How many requests of all clients may be in flight. 0: any number.
	Concurrency int `json:"concurrency,omitempty"`
	// How many requests of one client may be in flight. Default: 20.
	PerClient int `json:"per_client,omitempty"`
	// How many leading bits of an address make a client. Default: 32 and 64.
	IPv4Prefix int `json:"ipv4_prefix,omitempty"`
	IPv6Prefix int `json:"ipv6_prefix,omitempty"`
	// Networks (CIDR or address) whose requests pass unlimited and uncounted.
	Exempt []string `json:"exempt,omitempty"`
	// How many clients are remembered at most; beyond that, new ones share limits.
	// It bounds the memory. Default: 1000000.
	MaxClients int `json:"max_clients,omitempty"`
	// Name of the state that handlers share. Default: `default`.
	Zone string `json:"zone,omitempty"`

	policy        memory.Policy
	exempt        []netip.Prefix
	zone          *memory.Zone // nil until acquired
	configuration any          // nil until claimed
	logger        *zap.Logger
}

// Penalty is a block: Duration long, after Errors in a row.
type Penalty struct {
	Errors   int            `json:"errors"`
	Duration caddy.Duration `json:"duration"`
}

// CaddyModule returns the Caddy module information.
func (Throttle) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.ip_throttle",
		New: func() caddy.Module { return new(Throttle) },
	}
}

// zones holds the state of each zone name while any configuration uses it.
var zones = caddy.NewUsagePool()

// Provision checks the limits and joins the zone.
func (t *Throttle) Provision(ctx caddy.Context) error {
	t.logger = ctx.Logger()
	t.setDefaults()
	if err := t.compile(); err != nil {
		return err
	}
	zone, _, err := zones.LoadOrNew(t.Zone, func() (caddy.Destructor, error) {
		return memory.NewZone(time.Now), nil
	})
	if err != nil {
		return err
	}
	t.zone = zone.(*memory.Zone)
	// Each configuration has a metrics registry of its own: it tells the handlers
	// of this configuration from those of the one it replaces.
	configuration := ctx.GetMetricsRegistry()
	settings := fmt.Sprintf("%+v %d %d %v", t.policy, t.IPv4Prefix, t.IPv6Prefix, t.exempt)
	if err := t.zone.Claim(configuration, settings); err != nil {
		return fmt.Errorf("zone %q: %w", t.Zone, err)
	}
	t.configuration = configuration
	return nil
}

func (t *Throttle) setDefaults() {
	if t.Burst == 0 {
		t.Burst = 1
	}
	if t.PenaltyStatus == nil {
		t.PenaltyStatus = []int{400, 401, 403, 404, 405, 413, 415, 422}
	}
	if t.PerClient == 0 {
		t.PerClient = 20
	}
	if t.IPv4Prefix == 0 {
		t.IPv4Prefix = 32
	}
	if t.IPv6Prefix == 0 {
		t.IPv6Prefix = 64
	}
	if t.MaxClients == 0 {
		t.MaxClients = 1_000_000
	}
	if t.Zone == "" {
		t.Zone = "default"
	}
}

// Bounds of what makes sense, far from where the arithmetic would overflow.
const (
	most    = 1_000_000
	longest = 366 * 24 * time.Hour
)

// compile checks the options and makes the policy of them.
func (t *Throttle) compile() error {
	interval, err := parseRate(t.Rate)
	if err != nil {
		return err
	}
	switch {
	case t.Burst < 1 || t.Burst > most:
		return fmt.Errorf("burst %d: give a number from 1 to %d", t.Burst, most)
	case t.Burst > 1 && interval == 0:
		return errors.New("burst without rate: give a rate such as 5/s")
	case t.Concurrency < 0 || t.Concurrency > most:
		return fmt.Errorf("concurrency %d: give a number from 1 to %d", t.Concurrency, most)
	case t.PerClient < 0 || t.PerClient > most:
		return fmt.Errorf("per_client %d: give a number from 1 to %d", t.PerClient, most)
	case t.IPv4Prefix < 8 || t.IPv4Prefix > 32:
		return fmt.Errorf("ipv4_prefix %d: give a number from 8 to 32", t.IPv4Prefix)
	case t.IPv6Prefix < 16 || t.IPv6Prefix > 128:
		return fmt.Errorf("ipv6_prefix %d: give a number from 16 to 128", t.IPv6Prefix)
	case t.MaxClients < 0 || t.MaxClients > 100*most:
		return fmt.Errorf("max_clients %d: give a number from 1 to %d", t.MaxClients, 100*most)
	}
	for _, status := range t.PenaltyStatus {
		if status < 400 || status > 499 || status == http.StatusTooManyRequests || status == record.StatusClientGone {
			return fmt.Errorf("penalty_status %d: only 4xx that the client causes count, never 429, 499 or 5xx", status)
		}
	}
	t.policy = memory.Policy{
		Interval:      interval,
		Burst:         t.Burst,
		Concurrency:   t.Concurrency,
		PerClient:     t.PerClient,
		PenaltyStatus: t.PenaltyStatus,
		MaxClients:    t.MaxClients,
	}
	if p := t.Penalty; p != nil {
		if p.Errors < 1 || p.Errors > most || p.Duration <= 0 || time.Duration(p.Duration) > longest {
			return fmt.Errorf("penalty %d %s: give a number of errors and a duration up to a year, such as 3 10m",
				p.Errors, time.Duration(p.Duration))
		}
		t.policy.PenaltyErrors = p.Errors
		t.policy.PenaltyTime = time.Duration(p.Duration)
	}
	for _, network := range t.Exempt {
		prefix, err := caddyhttp.CIDRExpressionToPrefix(network)
		if err != nil {
			return fmt.Errorf("exempt %q: give an address or a network such as 10.0.0.0/8", network)
		}
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		t.exempt = append(t.exempt, prefix)
	}
	return nil
}

func (t *Throttle) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// In 0-RTT data of HTTP/3 the address is not proven yet (RFC 8470).
	if r.TLS != nil && !r.TLS.HandshakeComplete {
		return caddyhttp.Error(http.StatusTooEarly, errors.New("client address is not verified yet"))
	}
	address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if t.isExempt(address) {
		return next.ServeHTTP(w, r)
	}
	ticket, refusal := t.zone.Admit(clientKey(address, t.IPv4Prefix, t.IPv6Prefix), t.policy)
	if refusal != nil {
		return refuse(w, r, refusal)
	}

	// Deferred, for a stream that breaks off ends in a panic. Such a request has
	// no status that would speak for or against its client.
	status := 0
	defer func() {
		if ticket.Release(status) {
			t.logger.Warn("client blocked", zap.String("client_ip", address),
				zap.Int("errors", t.policy.PenaltyErrors), zap.Duration("duration", t.policy.PenaltyTime))
		}
	}()
	answer := caddyhttp.NewResponseRecorder(w, nil, nil)
	err := next.ServeHTTP(answer, r)
	status = auditlog.StatusOf(answer, err)
	return err
}

func (t *Throttle) isExempt(address string) bool {
	if len(t.exempt) == 0 {
		return false
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	for _, network := range t.exempt {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// refuse answers a request that may not pass.
func refuse(w http.ResponseWriter, r *http.Request, refusal *memory.Refusal) error {
	w.Header().Set("Retry-After", strconv.Itoa(wholeSeconds(refusal.RetryAfter)))
	rec := record.From(r.Context())
	if refusal.Reason == memory.Blocked {
		rec.Explain(record.Blocked)
		return caddyhttp.Error(http.StatusForbidden, &openai.Error{
			Message: "blocked for a while after repeated errors; see Retry-After",
			Type:    openai.TypePermission,
			Code:    "client_blocked",
		})
	}
	message := "too many requests; see Retry-After"
	if refusal.Reason == memory.RateLimited {
		rec.Explain(record.RateLimited)
	} else {
		rec.Explain(record.OverCapacity)
		message = "too many requests in flight; see Retry-After"
	}
	return caddyhttp.Error(http.StatusTooManyRequests, &openai.Error{
		Message: message,
		Type:    openai.TypeRateLimit,
		Code:    openai.CodeRateLimitExceeded,
	})
}

// wholeSeconds rounds up, so that who waits as long as told has waited enough.
func wholeSeconds(d time.Duration) int {
	return max(1, int(math.Ceil(d.Seconds())))
}

// Cleanup leaves the zone. Requests of this configuration may still be in
// flight: their tickets keep the zone.
func (t *Throttle) Cleanup() error {
	if t.zone == nil {
		return nil
	}
	if t.configuration != nil {
		t.zone.Unclaim(t.configuration)
	}
	_, err := zones.Delete(t.Zone)
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Throttle)(nil)
	_ caddy.CleanerUpper          = (*Throttle)(nil)
	_ caddyhttp.MiddlewareHandler = (*Throttle)(nil)
)
