package auditfile

import (
	"math"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// UnmarshalCaddyfile sets up the writer from Caddyfile tokens. Syntax:
//
//	audit_file <filename> {
//		roll_size     <size>
//		roll_daily    on|off
//		gzip          on|off
//		retention     <duration>
//		min_retention <duration>
//		fsync         each|<interval>|off
//		sign_key      <file>
//		on_failure    refuse|continue
//		ship          <host:port> {
//			ca          <file>
//			certificate <certificate file> <key file>
//			plaintext   [anywhere]
//		}
//	}
func (a *AuditFile) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the writer's name
	if !d.AllArgs(&a.Filename) {
		return d.ArgErr()
	}
	given := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if given[option] {
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		var value string
		if !d.AllArgs(&value) {
			return d.ArgErr()
		}
		if err := a.unmarshalOption(d, option, value); err != nil {
			return err
		}
	}
	// here the error can name file and line
	checked := *a
	if err := checked.compile(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (a *AuditFile) unmarshalOption(d *caddyfile.Dispenser, option, value string) (err error) {
	if strings.TrimSpace(value) == "" {
		return d.Errf("%s is empty", option)
	}
	switch option {
	case "roll_size":
		bytes, err := humanize.ParseBytes(value)
		if err != nil || bytes == 0 || bytes > math.MaxInt64 {
			return d.Errf("roll_size %q: give a size, such as 100MiB", value)
		}
		a.RollSize = int64(bytes)
	case "roll_daily":
		a.RollDaily, err = parseSwitch(d, value)
	case "gzip":
		a.Gzip, err = parseSwitch(d, value)
	case "retention":
		a.Retention, err = parseAge(d, value)
	case "min_retention":
		a.MinRetention, err = parseAge(d, value)
	case "fsync":
		a.Fsync = value
	case "sign_key":
		a.SignKey = value
	case "on_failure":
		a.OnFailure = value
	case "ship":
		a.Ship = &Ship{Address: value}
		return a.Ship.unmarshalBlock(d)
	default:
		return d.Errf("unrecognized option %q", option)
	}
	return err
}

// unmarshalBlock reads the options of ship.
func (s *Ship) unmarshalBlock(d *caddyfile.Dispenser) error {
	given := make(map[string]bool)
	for d.NextBlock(1) {
		option := d.Val()
		if given[option] {
			return d.Errf("option %q of ship is given twice", option)
		}
		given[option] = true
		ok := false
		switch option {
		case "ca":
			ok = d.AllArgs(&s.CA) && s.CA != ""
		case "certificate":
			ok = d.AllArgs(&s.Certificate, &s.Key) && s.Certificate != "" && s.Key != ""
		case "plaintext":
			switch values := d.RemainingArgs(); {
			case len(values) == 0:
				s.Plaintext, ok = plaintextLoopback, true
			case len(values) == 1 && values[0] == plaintextAnywhere:
				s.Plaintext, ok = plaintextAnywhere, true
			}
		default:
			return d.Errf("unrecognized option %q of ship", option)
		}
		if !ok {
			return d.ArgErr()
		}
	}
	return nil
}

func parseSwitch(d *caddyfile.Dispenser, value string) (*bool, error) {
	on := value == "on"
	if !on && value != "off" {
		return nil, d.Errf("it must be on or off, not %q", value)
	}
	return &on, nil
}

func parseAge(d *caddyfile.Dispenser, value string) (caddy.Duration, error) {
	age, err := caddy.ParseDuration(value)
	if err != nil || age <= 0 {
		return 0, d.Errf("%q is no time to keep a file for: give one such as 180d", value)
	}
	return caddy.Duration(age), nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*AuditFile)(nil)
