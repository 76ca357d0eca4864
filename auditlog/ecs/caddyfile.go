package ecs

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the encoder from Caddyfile tokens. Syntax:
//
//	ecs {
//		nested              on|off
//		service_name        <name>
//		service_environment <name>
//		service_node_name   <name>
//	}
func (c *Encoder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the encoder's name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if seen[option] {
			return d.Errf("option %q is given twice", option)
		}
		seen[option] = true
		var value string
		if !d.AllArgs(&value) {
			return d.ArgErr()
		}
		switch option {
		case "nested":
			if value != "on" && value != "off" {
				return d.Errf("nested %q: it must be on or off", value)
			}
			on := value == "on"
			c.Nested = &on
		case "service_name":
			c.ServiceName = value
		case "service_environment":
			c.ServiceEnvironment = value
		case "service_node_name":
			c.ServiceNodeName = value
		default:
			return d.Errf("unrecognized option %q", option)
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Encoder)(nil)
