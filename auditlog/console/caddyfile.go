package console

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("gateway_console", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("gateway_console", httpcaddyfile.After, "metrics")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	gateway_console [<matcher>] {
//		ollama <url>
//		viewers <n>
//		protected_elsewhere
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	given := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if given[option] {
			return d.Errf("%s is given twice", option)
		}
		given[option] = true
		switch option {
		case "ollama":
			if !d.AllArgs(&h.Ollama) {
				return d.ArgErr()
			}
			if _, err := parseOllama(h.Ollama); err != nil {
				return d.WrapErr(err)
			}
		case "viewers":
			var number string
			if !d.AllArgs(&number) {
				return d.ArgErr()
			}
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > mostViewers {
				return d.Errf("viewers %q: give a number from 1 to %d", number, mostViewers)
			}
			h.Viewers = n
		case "protected_elsewhere":
			if d.NextArg() {
				return d.ArgErr()
			}
			h.ProtectedElsewhere = true
		default:
			return d.Errf("unrecognized option %q", option)
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
