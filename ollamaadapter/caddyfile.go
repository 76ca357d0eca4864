package ollamaadapter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
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
//		upstream           ollama|openai
//		default_model      <name>
//		models             <glob>...
//		alias              <public> <real>   # repeatable
//		system_role        native|merge
//		context_overflow   error|truncate
//		reasoning          both|reasoning_content|reasoning|hide
//		keep_alive         <duration>|-1
//		native             on|off
//		max_body           <size>
//		heartbeat          <duration>|off
//		heartbeat_json     on|off
//		first_byte_timeout <duration>|off
//		stall_timeout      <duration>|off
//		max_duration       <duration>|off
//		coalesce_loads     on|off
//		defaults {
//			<option> <value>
//		}
//		limits {
//			<option> <max>
//		}
//		model <glob> {                       # repeatable
//			keep_alive <duration>|-1
//			defaults { ... }
//			limits { ... }
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
		if given[option] && option != "alias" && option != "model" {
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		if err := h.unmarshalOption(d, option); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) unmarshalOption(d *caddyfile.Dispenser, option string) (err error) {
	switch option {
	case "upstream":
		return oneOf(d, &h.Upstream, "ollama", "openai")
	case "default_model":
		if !d.AllArgs(&h.DefaultModel) {
			return d.ArgErr()
		}
	case "models":
		if h.Models = d.RemainingArgs(); len(h.Models) == 0 {
			return d.ArgErr()
		}
	case "alias":
		return h.unmarshalAlias(d)
	case "system_role":
		return oneOf(d, &h.SystemRole, "native", "merge")
	case "context_overflow":
		return oneOf(d, &h.ContextOverflow, "error", "truncate")
	case "reasoning":
		return oneOf(d, &h.Reasoning, "both", "reasoning_content", "reasoning", "hide")
	case "native":
		h.Native, err = unmarshalSwitch(d)
	case "keep_alive":
		h.KeepAlive, err = unmarshalKeepAlive(d)
	case "max_body":
		h.MaxBody, err = unmarshalSize(d)
	case "heartbeat":
		h.Heartbeat, err = unmarshalDuration(d)
	case "heartbeat_json":
		h.HeartbeatJSON, err = unmarshalSwitch(d)
	case "first_byte_timeout":
		h.FirstByteTimeout, err = unmarshalDuration(d)
	case "stall_timeout":
		h.StallTimeout, err = unmarshalDuration(d)
	case "max_duration":
		var duration *caddy.Duration
		if duration, err = unmarshalDuration(d); err == nil {
			h.MaxDuration = *duration
		}
	case "coalesce_loads":
		var on bool
		on, err = unmarshalSwitch(d)
		h.CoalesceLoads = &on
	case "defaults":
		h.Defaults, err = unmarshalDefaults(d)
	case "limits":
		h.Limits, err = unmarshalLimits(d)
	case "model":
		return h.unmarshalModel(d)
	default:
		return d.Errf("unrecognized option %q", option)
	}
	return err
}

func (h *Handler) unmarshalAlias(d *caddyfile.Dispenser) error {
	var public, real string
	if !d.AllArgs(&public, &real) {
		return d.ArgErr()
	}
	if _, given := h.Aliases[public]; given {
		return d.Errf("alias %q is given twice", public)
	}
	if h.Aliases == nil {
		h.Aliases = make(map[string]string)
	}
	h.Aliases[public] = real
	return nil
}

func (h *Handler) unmarshalModel(d *caddyfile.Dispenser) error {
	var m ModelOptions
	if !d.AllArgs(&m.Glob) {
		return d.ArgErr()
	}
	given := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if given[option] {
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		var err error
		switch option {
		case "keep_alive":
			m.KeepAlive, err = unmarshalKeepAlive(d)
		case "defaults":
			m.Defaults, err = unmarshalDefaults(d)
		case "limits":
			m.Limits, err = unmarshalLimits(d)
		default:
			err = d.Errf("unrecognized option %q", option)
		}
		if err != nil {
			return err
		}
	}
	if len(given) == 0 {
		return d.Errf("model %s says nothing: give it a block of options", m.Glob)
	}
	h.PerModel = append(h.PerModel, m)
	return nil
}

// oneOf reads an option that has few values.
func oneOf(d *caddyfile.Dispenser, target *string, values ...string) error {
	option := d.Val()
	if !d.AllArgs(target) {
		return d.ArgErr()
	}
	if !slices.Contains(values, *target) {
		return d.Errf("%s %q: it must be one of %s", option, *target, strings.Join(values, " or "))
	}
	return nil
}

func unmarshalSwitch(d *caddyfile.Dispenser) (on bool, err error) {
	var value string
	err = oneOf(d, &value, "on", "off")
	return value == "on", err
}

// unmarshalDuration reads a duration, which is 0 if the option is off.
func unmarshalDuration(d *caddyfile.Dispenser) (*caddy.Duration, error) {
	option, text := d.Val(), ""
	if !d.AllArgs(&text) {
		return nil, d.ArgErr()
	}
	if text == "off" {
		return new(caddy.Duration), nil
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration <= 0 {
		return nil, d.Errf("%s %q: give a duration such as 30s, or off", option, text)
	}
	limit := caddy.Duration(duration)
	return &limit, nil
}

func unmarshalKeepAlive(d *caddyfile.Dispenser) (*caddy.Duration, error) {
	var text string
	if !d.AllArgs(&text) {
		return nil, d.ArgErr()
	}
	if text == "-1" {
		text = "-1s" // as Ollama writes "for ever"
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil {
		return nil, d.Errf("keep_alive %q: give a duration such as 30m, or -1 for ever", text)
	}
	keep := caddy.Duration(duration)
	return &keep, nil
}

func unmarshalSize(d *caddyfile.Dispenser) (int64, error) {
	var size string
	if !d.AllArgs(&size) {
		return 0, d.ArgErr()
	}
	bytes, err := humanize.ParseBytes(size)
	if err != nil || bytes == 0 || bytes > math.MaxInt64 {
		return 0, d.Errf("max_body %q: give a size, such as 10MB", size)
	}
	return int64(bytes), nil
}

// unmarshalOptions reads a block of Ollama's options, each with its value.
func unmarshalOptions[V any](d *caddyfile.Dispenser, parse func(name, text string) (V, error)) (map[string]V, error) {
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	options := make(map[string]V)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if _, given := options[name]; given {
			return nil, d.Errf("option %q is given twice", name)
		}
		var text string
		if !d.AllArgs(&text) {
			return nil, d.ArgErr()
		}
		value, err := parse(name, text)
		if err != nil {
			return nil, d.WrapErr(err)
		}
		options[name] = value
	}
	return options, nil
}

func unmarshalDefaults(d *caddyfile.Dispenser) (map[string]any, error) {
	return unmarshalOptions(d, ollama.ParseOption)
}

func unmarshalLimits(d *caddyfile.Dispenser) (map[string]float64, error) {
	return unmarshalOptions(d, func(name, text string) (float64, error) {
		if _, err := ollama.ParseOption(name, text); err != nil {
			return 0, err
		}
		limit, err := strconv.ParseFloat(text, 64)
		if err != nil || limit <= 0 {
			return 0, fmt.Errorf("limits: %s %s: give a number greater than 0", name, text)
		}
		return limit, nil
	})
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
