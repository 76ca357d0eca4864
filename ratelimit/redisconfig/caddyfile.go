package redisconfig

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Unmarshal reads what follows `store`: memory, for which it returns nil, or
//
//	store redis {
//		address  <host:port>
//		sentinel <master> <host:port>... {
//			username <name>
//			password <value>
//		}
//		cluster  <host:port>...
//		username <name>
//		password <value>
//		tls {
//			ca          <file>
//			certificate <file>
//			key         <file>
//			server_name <name>
//		}
//		prefix   <word>
//		timeout  <duration>
//	}
func Unmarshal(d *caddyfile.Dispenser, values []string) (*Options, error) {
	if len(values) != 1 || values[0] != "memory" && values[0] != "redis" {
		return nil, d.Err("store: it must be memory, or redis with a block")
	}
	o := new(Options)
	given := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if values[0] == "memory" {
			return nil, d.Err("store memory takes no block")
		}
		if given[option] {
			return nil, d.Errf("option %q of store redis is given twice", option)
		}
		given[option] = true
		if err := o.unmarshal(d, option); err != nil {
			return nil, err
		}
	}
	if values[0] == "memory" {
		return nil, nil
	}
	if err := o.Check(); err != nil {
		return nil, d.WrapErr(err)
	}
	return o, nil
}

func (o *Options) unmarshal(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "sentinel":
		values := d.RemainingArgs()
		if len(values) < 2 {
			return d.Err("sentinel takes the master's name and one address or more")
		}
		o.Sentinel = &Sentinel{Master: values[0], Address: values[1:]}
		return unmarshalBlock(d, option, map[string]*string{
			"username": &o.Sentinel.Username, "password": &o.Sentinel.Password,
		})
	case "cluster":
		if o.Cluster = d.RemainingArgs(); len(o.Cluster) == 0 {
			return d.Err("cluster takes one address or more")
		}
		return nil
	case "tls":
		if d.NextArg() {
			return d.ArgErr()
		}
		o.TLS = new(TLS)
		return unmarshalBlock(d, option, map[string]*string{
			"ca": &o.TLS.CA, "certificate": &o.TLS.Certificate, "key": &o.TLS.Key, "server_name": &o.TLS.ServerName,
		})
	}
	targets := map[string]*string{
		"address": &o.Address, "username": &o.Username, "password": &o.Password, "prefix": &o.Prefix, "timeout": new(string),
	}
	target, known := targets[option]
	if !known {
		return d.Errf("unrecognized option %q of store redis", option)
	}
	if err := oneValue(d, option, target); err != nil {
		return err
	}
	if option == "timeout" {
		timeout, err := caddy.ParseDuration(*target)
		if err != nil || timeout <= 0 {
			return d.Errf("timeout %q: give a duration such as 50ms", *target)
		}
		o.Timeout = caddy.Duration(timeout)
	}
	return nil
}

// unmarshalBlock reads a block of options that have one value each.
func unmarshalBlock(d *caddyfile.Dispenser, name string, targets map[string]*string) error {
	given := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if given[option] {
			return d.Errf("option %q of %s is given twice", option, name)
		}
		given[option] = true
		target, known := targets[option]
		if !known {
			return d.Errf("unrecognized option %q of %s", option, name)
		}
		if err := oneValue(d, option, target); err != nil {
			return err
		}
	}
	return nil
}

// oneValue reads an option's value. It is not d.ArgErr that tells what is wrong, for that
// would repeat what may be a secret.
func oneValue(d *caddyfile.Dispenser, option string, target *string) error {
	if !d.AllArgs(target) || *target == "" {
		return d.Errf("%s takes one value; put it into quotes if it has blanks", option)
	}
	return nil
}
