// Package ratelimit provides the ip_throttle handler.
package ratelimit

import (
	"errors"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/redisconfig"
)

func init() {
	caddy.RegisterModule(Throttle{})
}

// Throttle limits how fast each client may ask and how many requests may be in
// flight, and blocks a client for a while after a few errors. Put it outside of
// whatever checks the request, so that it sees what that refuses.
//
// A client is an address, or a whole prefix: a home or a host has a /64 of IPv6.
// The address is Caddy's client IP, so `trusted_proxies` applies (set
// `trusted_proxies_strict` with it: else clients can write their own). A second
// handler, inside of jwt_auth and in a zone of its own, can count users instead:
// `key {http.auth.user.id}`.
//
// Over the rate or over capacity the answer is 429, for a blocked client 403;
// both carry a `Retry-After` in whole seconds, and `Retry-After-Ms`. For rate and
// block it is exact: who waits that long is let in. A request that is refused
// counts for nothing. Every answer tells where its client stands with its rate, in
// the headers that OpenAI's have: `X-RateLimit-Limit-Requests`, how many at once
// from idle; `X-RateLimit-Remaining-Requests`, how many now;
// `X-RateLimit-Reset-Requests`, until they are all back.
//
// A client that is blocked again within a day of its last block is blocked for
// twice as long, up to 24 hours. Blocks are listed, made and lifted with `caddy
// ip-throttle`; they outlive a restart in Caddy's storage. Each emits the event
// `ip_throttle.blocked`.
//
// The state is shared by all handlers of one zone name and lives through
// reloads; the limits are those of the configuration in force.
type Throttle struct {
	// How often a client may ask in the long run, as `<n>/<s|m|h>`. Empty: no limit.
	Rate string `json:"rate,omitempty"`
	// How many requests a client may send at once from idle. Default: 1.
	Burst int `json:"burst,omitempty"`
	// After how many client-caused errors in a row, and for how long, a client is
	// blocked. Errors that long ago do not count any more. Not set: never.
	Penalty *Penalty `json:"penalty,omitempty"`
	// How many client-caused errors within what time block a client, however many
	// successes are between them; for as long as `penalty` says, or else for that time.
	// At most 100, within 24 hours. Not set: never.
	PenaltyWindow *Penalty `json:"penalty_window,omitempty"`
	// Which answers are client-caused errors. Default: 400 401 403 404 405 413 415
	// 422. Never 429, 499 or 5xx, which are not the client's fault, nor a 400 for a
	// conversation that has grown too long, nor what jwt_auth answers while the keys of
	// an identity provider cannot be had.
	PenaltyStatus []int `json:"penalty_status,omitempty"`
	// How many requests of all clients may be in flight. 0: any number.
	Concurrency int `json:"concurrency,omitempty"`
	// How many requests of one client may be in flight. Default: 20.
	PerClient int `json:"per_client,omitempty"`
	// How many requests may wait until one of those in flight has ended, and how long.
	// Clients are served in turn, however much each of them sent. Up to 1 MiB of the body
	// of one that waits is in memory. Not set: none.
	Queue *Queue `json:"queue,omitempty"`
	// A placeholder that says who a client is, such as `{http.auth.user.id}`, instead of
	// its address. Where it is empty the address counts.
	Key string `json:"key,omitempty"`
	// How many leading bits of an address make a client. Default: 32 and 64.
	IPv4Prefix int `json:"ipv4_prefix,omitempty"`
	IPv6Prefix int `json:"ipv6_prefix,omitempty"`
	// Networks (CIDR or address) whose requests pass unlimited and uncounted.
	Exempt []string `json:"exempt,omitempty"`
	// How many clients are remembered at most, which bounds the memory. Beyond that,
	// new ones share limits with their neighbours (/16 of IPv4, /32 of IPv6). A quarter
	// as many are remembered for errors, and for blocks: no flood pushes a block out.
	// Default: 1000000.
	MaxClients int `json:"max_clients,omitempty"`
	// Name of the state that handlers share. Default: `default`.
	Zone string `json:"zone,omitempty"`
	// Shares the zone among gateways, in Redis or Valkey. Not set: it is in memory, and
	// this gateway's alone.
	Redis *redisconfig.Options `json:"redis,omitempty"`
	// What happens while Redis does not answer: `local`, each gateway has its share of
	// the budget; `refuse`, all are answered 503; `allow`, whoever is not blocked passes.
	// Default: `local`.
	OnStoreFailure string `json:"on_store_failure,omitempty"`
	// How many gateways share the zone: each has so small a share of the budget while
	// Redis does not answer. Not set: as many as were alive when it answered last; then
	// one that starts while Redis is away knows of no other, and takes the whole budget.
	Gateways int `json:"gateways,omitempty"`

	policy limit.Policy
	exempt []netip.Prefix
	zone   *zone // nil until acquired
	pooled zoneKey
	claim  *claim
	logger *zap.Logger
}

// Penalty is a number of errors and a time: see the fields of that type.
type Penalty struct {
	Errors   int            `json:"errors"`
	Duration caddy.Duration `json:"duration"`
}

// Queue is where requests wait: so many, so long.
type Queue struct {
	Places int            `json:"places"`
	Wait   caddy.Duration `json:"wait"`
}

// CaddyModule returns the Caddy module information.
func (Throttle) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.ip_throttle",
		New: func() caddy.Module { return new(Throttle) },
	}
}

// Provision checks the limits and joins the zone.
func (t *Throttle) Provision(ctx caddy.Context) error {
	t.logger = ctx.Logger()
	t.setDefaults()
	if err := t.compile(); err != nil {
		return err
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	zone, err := t.joinZone(ctx)
	if err != nil {
		return err
	}
	t.zone = zone
	t.claim, err = zone.claimFor(ctx, t)
	return err
}

func (t *Throttle) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// In 0-RTT data of HTTP/3 the address is not proven yet (RFC 8470).
	if r.TLS != nil && !r.TLS.HandshakeComplete {
		return caddyhttp.Error(http.StatusTooEarly, errors.New("client address is not verified yet"))
	}
	address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if t.isExempt(address) {
		t.zone.count(verdictExempt)
		return next.ServeHTTP(w, r)
	}
	decision := t.zone.Admit(t.client(r, address), &t.policy)
	if decision.Place != nil {
		var end func()
		decision, end = t.wait(w, r, decision.Place)
		defer end()
	}
	standing := standingOf(r.Context(), decision.Quota)
	standing.announce(w.Header())
	if decision.Ticket == nil {
		standing.refused.Store(true)
		return t.refuse(w, r, decision)
	}
	t.zone.count(verdictPassed)

	// Deferred, for a stream that breaks off ends in a panic. Such a request has
	// no status that would speak for or against its client.
	status := 0
	defer func() {
		if block := decision.Ticket.Release(status); block != nil {
			t.tellOfBlock(r.Context(), *block, address)
		}
	}()
	// told once more with the header, when handlers further in have had their say
	answer := caddyhttp.NewResponseRecorder(w, nil, func(_ int, header http.Header) bool {
		standing.announce(header)
		return false // do not buffer
	})
	err := next.ServeHTTP(answer, r)
	if !standing.refused.Load() && !blameless(err) {
		status = auditlog.StatusOf(answer, err)
	}
	return err
}

// blameless reports an error that speaks neither for nor against a client.
//
// Every conversation grows too long in the end, and a bot such as Clawdbot then sends it
// three times within one turn, shorter each time. Blocked, it would be out for having
// talked long. And while an identity provider is away, sound tokens of its keys cannot be
// told from others: blocked, their clients would be out for longer than it is.
func blameless(err error) bool {
	if errors.Is(err, token.KeysUnavailable) {
		return true
	}
	fault, ok := errors.AsType[*openai.Error](err)
	return ok && fault.Code == openai.CodeContextLength
}

// client is who sent the request.
func (t *Throttle) client(r *http.Request, address string) limit.Client {
	if t.Key != "" {
		repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		if name := repl.ReplaceAll(t.Key, ""); name != "" {
			return user(name)
		}
	}
	return limit.Client{Key: limit.AddressKey(address, t.IPv4Prefix, t.IPv6Prefix)}
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

// Cleanup leaves the zone. Requests of this configuration may still be in
// flight: their tickets keep the zone.
func (t *Throttle) Cleanup() error {
	if t.zone == nil {
		return nil
	}
	if t.claim != nil {
		t.zone.unclaim(t.claim)
	}
	_, err := zones.Delete(t.pooled)
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Throttle)(nil)
	_ caddy.CleanerUpper          = (*Throttle)(nil)
	_ caddyhttp.MiddlewareHandler = (*Throttle)(nil)
)
