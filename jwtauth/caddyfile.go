package jwtauth

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
	"github.com/gateway18789/caddy-ollama/ratelimit/redisconfig"
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
//		secret           <value> [HS256|HS384|HS512]   # repeat for rotation
//		public_key       <file> [<algorithm>]          # repeat for rotation
//		jwks             <https-url> {
//			refresh <duration>
//			ca      <file>
//		}
//		algorithms       <algorithm>...
//		max_lifetime     <duration>
//		leeway           <duration>
//		issuer           <iss>
//		audience         <aud>
//		require          <claim> [<value>...]          # repeatable
//		bind_certificate off|optional|required
//		replay           off|once
//		store            memory|redis { ... }          # see the package redisconfig
//		on_store_failure local|refuse
//		models_claim     <claim>
//		allow_preflight  on|off
//		rejected_status  403|401
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
		if given[option] && option != "secret" && option != "public_key" && option != "require" {
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		values := d.RemainingArgs()
		if most, known := mostValues[option]; !known {
			return d.Errf("unrecognized option %q", option)
		} else if len(values) == 0 || len(values) > most {
			// not d.ArgErr, which would repeat what may be a secret
			return d.Errf("%s takes between 1 and %d values; put one into quotes if it has blanks", option, most)
		}
		if err := h.setOption(d, option, values); err != nil {
			return err
		}
	}
	if len(h.Secrets) == 0 && len(h.PublicKeys) == 0 && h.JWKS == nil {
		return d.Err("jwt_auth needs a key, such as secret {file./etc/caddy-ollama/jwt.key}")
	}
	return nil
}

// mostValues are the options, and how many values each may have.
var mostValues = map[string]int{
	"secret": 2, "public_key": 2, "jwks": 1, "algorithms": len(key.Algorithms), "max_lifetime": 1, "leeway": 1, "issuer": 1, "audience": 1,
	"require": 64, "bind_certificate": 1, "replay": 1, "store": 1, "on_store_failure": 1, "models_claim": 1, "allow_preflight": 1, "rejected_status": 1,
}

func (h *Handler) setOption(d *caddyfile.Dispenser, option string, values []string) error {
	value, second := values[0], ""
	if len(values) > 1 {
		second = values[1]
	}
	switch option {
	case "secret":
		if second != "" && !strings.HasPrefix(second, "HS") {
			return d.Err("secret: the algorithm must be HS256, HS384 or HS512") // what came may be a part of the secret
		}
		h.Secrets = append(h.Secrets, Secret{Value: value, Algorithm: second})
	case "public_key":
		h.PublicKeys = append(h.PublicKeys, PublicKey{File: value, Algorithm: second})
	case "jwks":
		h.JWKS = &JWKS{URL: value}
		return h.JWKS.unmarshal(d)
	case "algorithms":
		h.Algorithms = values
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
	case "require":
		h.Require = append(h.Require, token.Requirement{Claim: value, Values: values[1:]})
	case "bind_certificate":
		h.BindCertificate = token.Binding(value)
		return oneOf(d, option, value, "off", "optional", "required")
	case "replay":
		h.Replay = value
		return oneOf(d, option, value, "off", "once")
	case "store":
		var err error
		h.Redis, err = redisconfig.Unmarshal(d, values)
		return err
	case "on_store_failure":
		h.OnStoreFailure = value
		return oneOf(d, option, value, "local", "refuse")
	case "models_claim":
		h.ModelsClaim = value
	case "allow_preflight":
		h.AllowPreflight = value == "on"
		return oneOf(d, option, value, "on", "off")
	case "rejected_status":
		h.RejectedStatus, _ = strconv.Atoi(value)
		return oneOf(d, option, value, "403", "401")
	}
	return nil
}

// unmarshal reads the block behind the URL, if there is one.
func (j *JWKS) unmarshal(d *caddyfile.Dispenser) error {
	given := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option, value := d.Val(), ""
		if given[option] {
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		if !d.AllArgs(&value) {
			return d.ArgErr()
		}
		switch option {
		case "refresh":
			if err := parseDuration(d, "refresh", value, &j.Refresh); err != nil {
				return err
			}
		case "ca":
			j.CA = value
		default:
			return d.Errf("unrecognized option %q of jwks", option)
		}
	}
	return nil
}

// oneOf checks an option that has few values.
func oneOf(d *caddyfile.Dispenser, option, value string, values ...string) error {
	if !slices.Contains(values, value) {
		return d.Errf("%s %q: it must be %s", option, value, strings.Join(values, " or "))
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
