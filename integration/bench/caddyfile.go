package main

import (
	"fmt"
	"slices"
	"strings"
)

// The parts of the gateway that can be left out, as their directives are called.
const (
	audit     = "audit_log"
	throttle  = "ip_throttle"
	jwtAuth   = "jwt_auth"
	translate = "ollama_adapter"
)

var allParts = []string{audit, throttle, jwtAuth, translate}

// gateway is what a Caddy is to be.
type gateway struct {
	home     string // the folder with its credentials
	address  string
	upstream string
	parts    []string // none: stock Caddy
	// remembers makes it go by X-Forwarded-For, and remember each client for an hour, up
	// to more than a million; and answer knownPath with 204 behind nothing but ip_throttle.
	remembers bool
	oneCore   bool // it has the use of one processor core
}

// caddyfile configures it: as caddyfile-examples/gateway.Caddyfile does, with limits that
// no load reaches. Caddy's own options are the same for stock Caddy.
func (g gateway) caddyfile() string {
	var out strings.Builder
	fmt.Fprintf(&out, `{
	admin unix//%[1]s/admin.sock
	servers %[2]s {
		listener_wrappers {
			http_redirect
			tls
		}
		protocols h1 h2
		timeouts {
			read_header 10s
			read_body_idle 10s 1024
			write_idle 60s
		}
`, g.home, g.address)
	if g.remembers {
		out.WriteString("\t\ttrusted_proxies static 127.0.0.0/8\n")
	}
	out.WriteString("\t}\n\tauto_https off\n")
	if slices.Contains(g.parts, audit) {
		fmt.Fprintf(&out, `	log audit {
		include http.handlers.audit_log
		output audit_file %[1]s/audit.log {
			sign_key %[1]s/audit.key
		}
		format ecs
	}
	log default {
		exclude http.handlers.audit_log
	}
`, g.home)
	}
	_, port, _ := strings.Cut(g.address, ":")
	fmt.Fprintf(&out, `}
https://%[2]s:%[3]s {
	bind 127.0.0.1
	tls %[1]s/gw.crt %[1]s/gw.key {
		client_auth {
			mode require_and_verify
			trust_pool file %[1]s/ca.crt
		}
	}
	route {
`, g.home, host, port)
	if g.remembers && slices.Contains(g.parts, throttle) {
		fmt.Fprintf(&out, "\t\troute %s {\n%s\t\trespond 204\n\t\t}\n", knownPath, g.part(throttle))
	}
	for _, part := range allParts {
		if slices.Contains(g.parts, part) {
			out.WriteString(g.part(part))
		}
	}
	fmt.Fprintf(&out, "\t\treverse_proxy %s\n\t}\n", g.upstream)
	if len(g.parts) > 0 {
		out.WriteString("\thandle_errors {\n\t\topenai_error\n\t}\n")
	}
	out.WriteString("}\n")
	return out.String()
}

func (g gateway) part(name string) string {
	switch {
	case name == throttle && g.remembers:
		// the least rate there is: a client owes something for an hour after each request
		return limits("1/h", 1_200_000)
	case name == throttle:
		return limits("1000000/s", 1_000_000)
	default:
		return strings.ReplaceAll(partConfigs[name], "{home}", g.home)
	}
}

func limits(rate string, maxClients int) string {
	return fmt.Sprintf(`		ip_throttle {
			rate %s
			burst 1000000
			penalty 3 10m
			penalty_window 15 10m
			concurrency 100000
			per_client 100000
			max_clients %d
		}
`, rate, maxClients)
}

var partConfigs = map[string]string{
	audit: `		audit_log
		@stranger not remote_ip 127.0.0.0/8
		error @stranger "address not on the allow-list" 403
`,
	jwtAuth: `		jwt_auth {
			secret {file.{home}/jwt.key}
			max_lifetime 5m
		}
`,
	translate: `		ollama_adapter {
			default_model object
			defaults {
				temperature 0.7
				num_ctx 32768
			}
		}
`,
}

// without is all parts but one.
func without(part string) []string {
	return slices.DeleteFunc(slices.Clone(allParts), func(p string) bool { return p == part })
}
