package jwtauth

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("jwt_auth", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("jwt_auth", httpcaddyfile.Before, "forward_auth")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	jwt_auth [<matcher>] {
//		secret          <value>    # repeat for rotation
//		max_lifetime    <duration>
//		leeway          <duration>
//		issuer          <iss>
//		audience        <aud>
//		rejected_status 403|401
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	h.Source = fmt.Sprintf("%s:%d", d.File(), d.Line())
	if d.NextArg() {
		// not d.ArgErr, which would repeat what may be a secret
		return d.Err("jwt_auth takes no value on its own line; put secret and the rest into a block")
	}
	given := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if given[option] && option != "secret" {
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		var value string
		if !d.AllArgs(&value) {
			// not d.ArgErr, which would repeat what may be a secret
			return d.Errf("%s takes one value; put it in quotes if it has blanks", option)
		}
		if err := h.setOption(d, option, value); err != nil {
			return err
		}
	}
	if len(h.Secrets) == 0 {
		return d.Err("jwt_auth needs a secret, such as secret {file./etc/caddy-ollama/jwt.key}")
	}
	return nil
}

func (h *Handler) setOption(d *caddyfile.Dispenser, option, value string) error {
	switch option {
	case "secret":
		h.Secrets = append(h.Secrets, value)
	case "max_lifetime":
		return parseDuration(d, option, value, &h.MaxLifetime)
	case "leeway":
		if err := parseDuration(d, option, value, &h.Leeway); err != nil {
			return err
		}
		if h.Leeway > maxLeeway {
			return d.Errf("leeway %s: it must be at most 30s", value)
		}
	case "issuer":
		h.Issuer = value
	case "audience":
		h.Audience = value
	case "rejected_status":
		status, err := strconv.Atoi(value)
		if err != nil || status != 401 && status != 403 {
			return d.Errf("rejected_status %q: it must be 403 or 401", value)
		}
		h.RejectedStatus = status
	default:
		return d.Errf("unrecognized option %q", option)
	}
	return nil
}

func parseDuration(d *caddyfile.Dispenser, option, value string, target *caddy.Duration) error {
	duration, err := caddy.ParseDuration(value)
	if err != nil || duration < 0 || duration == 0 && option != "leeway" {
		return d.Errf("%s %q: give a positive duration, such as 5m", option, value)
	}
	*target = caddy.Duration(duration)
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
