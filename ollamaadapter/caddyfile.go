package ollamaadapter

import (
	"math"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("ollama_adapter", parseAdapter)
	httpcaddyfile.RegisterDirectiveOrder("ollama_adapter", httpcaddyfile.Before, "reverse_proxy")
	httpcaddyfile.RegisterHandlerDirective("openai_error", parseErrorHandler)
	httpcaddyfile.RegisterDirectiveOrder("openai_error", httpcaddyfile.Before, "respond")
}

func parseAdapter(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

func parseErrorHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(ErrorHandler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	ollama_adapter [<matcher>] {
//		default_model <name>
//		system_role   native|merge
//		max_body      <size>
//		defaults {
//			<option> <value>
//		}
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
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		if err := h.unmarshalOption(d, option); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) unmarshalOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "default_model":
		if !d.AllArgs(&h.DefaultModel) {
			return d.ArgErr()
		}
	case "system_role":
		if !d.AllArgs(&h.SystemRole) {
			return d.ArgErr()
		}
		if h.SystemRole != "native" && h.SystemRole != "merge" {
			return d.Errf("system_role %q: it must be native or merge", h.SystemRole)
		}
	case "max_body":
		var size string
		if !d.AllArgs(&size) {
			return d.ArgErr()
		}
		bytes, err := humanize.ParseBytes(size)
		if err != nil || bytes == 0 || bytes > math.MaxInt64 {
			return d.Errf("max_body %q: give a size, such as 10MB", size)
		}
		h.MaxBody = int64(bytes)
	case "defaults":
		return h.unmarshalDefaults(d)
	default:
		return d.Errf("unrecognized option %q", option)
	}
	return nil
}

func (h *Handler) unmarshalDefaults(d *caddyfile.Dispenser) error {
	h.Defaults = make(map[string]any)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if _, given := h.Defaults[name]; given {
			return d.Errf("option %q is given twice", name)
		}
		var text string
		if !d.AllArgs(&text) {
			return d.ArgErr()
		}
		value, err := ollama.ParseOption(name, text)
		if err != nil {
			return d.WrapErr(err)
		}
		h.Defaults[name] = value
	}
	return nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	openai_error
func (*ErrorHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized option %q", d.Val())
	}
	return nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*Handler)(nil)
	_ caddyfile.Unmarshaler = (*ErrorHandler)(nil)
)
