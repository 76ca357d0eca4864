package webhook

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	webhook <url> {
//		timeout    <duration>
//		queue      <n>
//		retry      <duration>
//		header     <name> <value>
//		allow_http on|off
//	}
//
// `header` may be repeated, with another name.
func (w *Webhook) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the handler's name
	w.Source = fmt.Sprintf("%s:%d", d.File(), d.Line())
	if !d.AllArgs(&w.URL) {
		return d.ArgErr()
	}
	given := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if given[option] && option != "header" {
			return d.Errf("option %q is given twice", option)
		}
		given[option] = true
		if err := w.unmarshalOption(d, option); err != nil {
			return err
		}
	}
	// what can be checked without a running Caddy is checked here, where the error can name
	// file and line
	if err := w.check(); err != nil {
		return d.WrapErr(err)
	}
	if !strings.Contains(w.URL, "{") {
		if _, err := checkURL(w.URL, w.AllowHTTP); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func (w *Webhook) unmarshalOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "timeout":
		return duration(d, &w.Timeout)
	case "retry":
		return duration(d, &w.Retry)
	case "queue":
		var text string
		if !d.AllArgs(&text) {
			return d.ArgErr()
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return d.Errf("queue %q: give a number greater than 0", text)
		}
		w.Queue = n
	case "header":
		var name, value string
		if !d.AllArgs(&name, &value) {
			return d.ArgErr()
		}
		name = http.CanonicalHeaderKey(name)
		if _, twice := w.Header[name]; twice {
			return d.Errf("header %s is given twice", name)
		}
		if w.Header == nil {
			w.Header = make(map[string]string)
		}
		w.Header[name] = value
	case "allow_http":
		var text string
		if !d.AllArgs(&text) {
			return d.ArgErr()
		}
		if text != "on" && text != "off" {
			return d.Errf("allow_http %q: it must be on or off", text)
		}
		w.AllowHTTP = text == "on"
	default:
		return d.Errf("unrecognized option %q", option)
	}
	return nil
}

// duration reads an option's one argument.
func duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	option := d.Val()
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	length, err := caddy.ParseDuration(text)
	if err != nil || length <= 0 {
		return d.Errf("%s: %q is no duration, such as 5s", option, text)
	}
	*into = caddy.Duration(length)
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Webhook)(nil)
