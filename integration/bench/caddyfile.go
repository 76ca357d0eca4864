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

// caddyfile configures a gateway with these parts, in a folder that has the
// credentials: caddyfile-examples/gateway.Caddyfile, with limits that no load reaches.
// With no parts it is what stock Caddy runs.
func caddyfile(dir, address, upstream string, parts []string) string {
	var out strings.Builder
	fmt.Fprintf(&out, `{
	admin unix//%[1]s/admin.sock
	servers %[2]s {
		listener_wrappers {
			http_redirect
			tls
		}
		protocols h1 h2
	}
	auto_https off
`, dir, address)
	if slices.Contains(parts, audit) {
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
`, dir)
	}
	_, port, _ := cutLast(address, ":")
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
`, dir, host, port)
	for _, part := range allParts {
		if slices.Contains(parts, part) {
			out.WriteString(strings.ReplaceAll(partConfigs[part], "{dir}", dir))
		}
	}
	fmt.Fprintf(&out, "\t\treverse_proxy %s\n\t}\n", upstream)
	if len(parts) > 0 {
		out.WriteString("\thandle_errors {\n\t\topenai_error\n\t}\n")
	}
	out.WriteString("}\n")
	return out.String()
}

var partConfigs = map[string]string{
	audit: `		audit_log
		@stranger not remote_ip 127.0.0.0/8
		error @stranger "address not on the allow-list" 403
`,
	throttle: `		ip_throttle {
			rate 1000000/s
			burst 1000000
			penalty 3 10m
			penalty_window 15 10m
			concurrency 100000
			per_client 100000
		}
`,
	jwtAuth: `		jwt_auth {
			secret {file.{dir}/jwt.key}
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
