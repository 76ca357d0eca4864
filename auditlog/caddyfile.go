package auditlog

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("audit_log", parseCaddyfile)
	// Each of our directives has an anchor of its own: two that share one would
	// be ordered by the order of package initialisation.
	httpcaddyfile.RegisterDirectiveOrder("audit_log", httpcaddyfile.Before, "header")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	audit_log {
//		pseudonymize <field> <key>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		if d.Val() != "pseudonymize" {
			return d.Errf("unrecognized option %q", d.Val())
		}
		var field, key string
		if !d.AllArgs(&field, &key) {
			return d.ArgErr()
		}
		if err := checkPseudonymized(field); err != nil {
			return d.WrapErr(err)
		}
		if _, twice := h.Pseudonymize[field]; twice {
			return d.Errf("pseudonymize %s is given twice", field)
		}
		if h.Pseudonymize == nil {
			h.Pseudonymize = make(map[string]string)
		}
		h.Pseudonymize[field] = key
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
