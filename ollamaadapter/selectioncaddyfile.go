package ollamaadapter

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the policy from Caddyfile tokens, within reverse_proxy.
// Syntax:
//
//	lb_policy ollama_model {
//		poll          <duration>|off
//		busy          <requests>
//		conversations <n>
//	}
func (s *Selection) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the policy's name
	if d.NextArg() {
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
		case "poll":
			s.Poll, err = unmarshalDuration(d)
		case "busy":
			s.Busy, err = unmarshalCount(d)
		case "conversations":
			s.Conversations, err = unmarshalCount(d)
		default:
			err = d.Errf("unrecognized option %q", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func unmarshalCount(d *caddyfile.Dispenser) (int, error) {
	option, text := d.Val(), ""
	if !d.AllArgs(&text) {
		return 0, d.ArgErr()
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, d.Errf("%s %q: give a number greater than 0", option, text)
	}
	return n, nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Selection)(nil)
