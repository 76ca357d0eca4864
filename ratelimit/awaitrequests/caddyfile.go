package awaitrequests

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// UnmarshalCaddyfile sets up the wrapper from Caddyfile tokens. It has no options. Syntax:
//
//	await_requests
func (*AwaitRequests) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the wrapper's name
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized option %q", d.Val())
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*AwaitRequests)(nil)
