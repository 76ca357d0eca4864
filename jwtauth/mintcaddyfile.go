package jwtauth

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("jwt_mint", parseMintCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("jwt_mint", httpcaddyfile.Before, "reverse_proxy")
}

func parseMintCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	minter := new(Minter)
	return minter, minter.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	jwt_mint [<matcher>] {
//		secret      <value> [HS256|HS384|HS512]    # either this
//		private_key <file>  [<algorithm>]          # or this
//		key_id      <kid>
//		sub         <subject>
//		iss         <issuer>
//		aud         <audience>...
//		ttl         <duration>
//		reuse       <duration>
//		certificate <file>
//		claim       <name> <JSON or string>        # repeat for more
//	}
func (m *Minter) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	m.Source = fmt.Sprintf("%s:%d", d.File(), d.Line())
	if d.NextArg() {
		// not d.ArgErr, which would repeat what may be a secret
		return d.Err("jwt_mint takes no value on its own line; put its options into a block")
	}
	given := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if given[option] && option != "claim" {
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		values := d.RemainingArgs()
		if d.NextBlock(1) {
			return d.Errf("%s takes no block", option)
		}
		if err := m.setOption(d, option, values); err != nil {
			return err
		}
	}
	return nil // what is missing is found when the handler is provisioned
}

func (m *Minter) setOption(d *caddyfile.Dispenser, option string, values []string) error {
	switch option {
	case "secret":
		return setKey(d, option, values, &m.Secret.Value, &m.Secret.Algorithm)
	case "private_key":
		return setKey(d, option, values, &m.PrivateKey.File, &m.PrivateKey.Algorithm)
	case "key_id":
		return setName(d, option, values, &m.KeyID)
	case "sub":
		return setName(d, option, values, &m.Subject)
	case "iss":
		return setName(d, option, values, &m.Issuer)
	case "certificate":
		return setName(d, option, values, &m.Certificate)
	case "aud":
		if len(values) == 0 || slices.Contains(values, "") {
			return d.Err("aud takes one audience or more")
		}
		m.Audience = values
	case "ttl":
		return setDuration(d, option, values, &m.TTL)
	case "reuse":
		return setDuration(d, option, values, &m.Reuse)
	case "claim":
		return m.addClaim(d, values)
	default:
		return d.Errf("unrecognized option %q", option)
	}
	return nil
}

// setKey takes a key and perhaps its algorithm. Its errors repeat neither: both are
// parts of the secret if that has blanks and no quotes.
func setKey(d *caddyfile.Dispenser, option string, values []string, value, algorithm *string) error {
	if len(values) == 0 || len(values) > 2 || values[0] == "" {
		return d.Errf("%s takes one value, and perhaps an algorithm; put it in quotes if it has blanks", option)
	}
	*value = values[0]
	if len(values) == 2 {
		*algorithm = values[1]
		if !slices.Contains(key.Algorithms, key.Canonical(*algorithm)) {
			return d.Errf("what follows the value of %s is no algorithm; put the value in quotes if it has blanks", option)
		}
	}
	return nil
}

func (m *Minter) addClaim(d *caddyfile.Dispenser, values []string) error {
	if len(values) != 2 {
		return d.Err("claim takes a name and a value; put the value in quotes if it has blanks")
	}
	name := values[0]
	value, err := claimValue(values[1])
	if err != nil {
		return d.Errf("claim %s: %v", name, err)
	}
	if m.Claims[name] != nil {
		return d.Errf("claim %s is given twice", name)
	}
	if m.Claims == nil {
		m.Claims = make(map[string]json.RawMessage)
	}
	m.Claims[name] = json.RawMessage(value)
	return nil
}

func setName(d *caddyfile.Dispenser, option string, values []string, target *string) error {
	if len(values) != 1 || values[0] == "" {
		return d.Errf("%s takes one value; put it in quotes if it has blanks", option)
	}
	*target = values[0]
	return nil
}

func setDuration(d *caddyfile.Dispenser, option string, values []string, target *caddy.Duration) error {
	if len(values) != 1 {
		return d.Errf("%s takes one duration, such as 5m", option)
	}
	return parseDuration(d, option, values[0], target)
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Minter)(nil)
