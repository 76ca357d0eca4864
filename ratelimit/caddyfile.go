package ratelimit

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/ratelimit/redisconfig"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("ip_throttle", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("ip_throttle", httpcaddyfile.Before, "request_body")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	throttle := new(Throttle)
	return throttle, throttle.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	ip_throttle [<matcher>] {
//		rate           <n>/<s|m|h>
//		burst          <n>
//		penalty        <errors> <duration>
//		penalty_window <errors> <duration>
//		penalty_status <code>...
//		concurrency    <n>
//		per_client     <n>
//		queue          <n> <wait>
//		key            <placeholder>
//		ipv4_prefix    <bits>
//		ipv6_prefix    <bits>
//		exempt         <cidr>...
//		max_clients    <n>
//		zone           <name>
//		store          memory|redis { ... }         # see the package redisconfig
//		on_store_failure local|refuse|allow
//		gateways       <n>
//	}
func (t *Throttle) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	given := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if given[option] {
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		if err := t.unmarshalOption(d, option); err != nil {
			return err
		}
	}
	// what can be checked without a running Caddy is checked here, where the
	// error can name file and line
	checked := *t
	checked.setDefaults()
	if err := checked.compile(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (t *Throttle) unmarshalOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "rate":
		if !d.AllArgs(&t.Rate) {
			return d.ArgErr()
		}
		if t.Rate == "" {
			return d.Err("rate is empty: give one such as 5/s")
		}
	case "zone":
		if !d.AllArgs(&t.Zone) {
			return d.ArgErr()
		}
		if t.Zone == "" {
			return d.Err("zone is empty: give it a name")
		}
	case "store":
		var err error
		t.Redis, err = redisconfig.Unmarshal(d, d.RemainingArgs())
		return err
	case "on_store_failure":
		if !d.AllArgs(&t.OnStoreFailure) {
			return d.ArgErr()
		}
	case "burst":
		return positive(d, &t.Burst)
	case "concurrency":
		return positive(d, &t.Concurrency)
	case "per_client":
		return positive(d, &t.PerClient)
	case "ipv4_prefix":
		return positive(d, &t.IPv4Prefix)
	case "ipv6_prefix":
		return positive(d, &t.IPv6Prefix)
	case "max_clients":
		return positive(d, &t.MaxClients)
	case "gateways":
		return positive(d, &t.Gateways)
	case "key":
		if !d.AllArgs(&t.Key) {
			return d.ArgErr()
		}
		if t.Key == "" {
			return d.Err("key is empty: give a placeholder such as {http.auth.user.id}")
		}
	case "penalty":
		n, duration, err := countAndTime(d)
		t.Penalty = &Penalty{Errors: n, Duration: duration}
		return err
	case "penalty_window":
		n, duration, err := countAndTime(d)
		t.PenaltyWindow = &Penalty{Errors: n, Duration: duration}
		return err
	case "queue":
		n, duration, err := countAndTime(d)
		t.Queue = &Queue{Places: n, Wait: duration}
		return err
	case "penalty_status":
		for d.NextArg() {
			status, err := strconv.Atoi(d.Val())
			if err != nil {
				return d.Errf("penalty_status %q is no status code", d.Val())
			}
			t.PenaltyStatus = append(t.PenaltyStatus, status)
		}
		if len(t.PenaltyStatus) == 0 {
			return d.ArgErr()
		}
	case "exempt":
		t.Exempt = d.RemainingArgs()
		if len(t.Exempt) == 0 {
			return d.ArgErr()
		}
	default:
		return d.Errf("unrecognized option %q", option)
	}
	return nil
}

// countAndTime reads the arguments of an option that has a number and a duration.
func countAndTime(d *caddyfile.Dispenser) (int, caddy.Duration, error) {
	option := d.Val()
	var count, length string
	if !d.AllArgs(&count, &length) {
		return 0, 0, d.ArgErr()
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return 0, 0, d.Errf("%s: %q is no number", option, count)
	}
	duration, err := caddy.ParseDuration(length)
	if err != nil {
		return 0, 0, d.Errf("%s: %q is no duration, such as 10m", option, length)
	}
	return n, caddy.Duration(duration), nil
}

// positive reads the one argument of an option that counts something. Zero is
// refused: it would be taken for the default.
func positive(d *caddyfile.Dispenser, n *int) error {
	option := d.Val()
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 {
		return d.Errf("%s %q: give a number greater than 0", option, text)
	}
	*n = value
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Throttle)(nil)
