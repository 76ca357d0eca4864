package ollamagateway

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"text/template"
)

// caddyfileTemplate is caddyfile-examples/gateway.Caddyfile with what differs on
// one machine that nobody has configured. A test keeps the two alike.
var caddyfileTemplate = template.Must(template.New("Caddyfile").Parse(`# The gateway as "caddy ollama-gateway" runs it. caddyfile-examples/gateway.Caddyfile
# explains each line.
{{- range .Notes}}
# {{.}}
{{- end}}
{
{{- if .AdminSocket}}
	# "caddy ip-throttle" and "caddy reload" talk to this socket; only its owner can.
	admin "unix/{{.AdminSocket}}|0600"
{{- else}}
	admin off # the state folder's path is too long for a socket
{{- end}}
	persist_config off
	storage file_system "{{.StateDir}}/storage"
	servers {
		listener_wrappers {
			await_requests
			http_redirect
			tls
		}
		protocols h1 h2
		timeouts {
			read_header 10s
			read_body_idle 10s 1024
			write_idle 60s
		}
		# Clients may come by IP address, without a server name. There is one site
		# with one client CA here, so a wrong name gets nobody around anything.
		strict_sni_host insecure_off
	}
	auto_https off
	grace_period 30s
	log audit {
		include http.handlers.audit_log
		output audit_file "{{.StateDir}}/audit.log" {
			retention 180d
			sign_key "{{.StateDir}}/audit.key"
		}
		format ecs
	}
	log default {
		# at each start, "admin" warns of a socket as of an open interface, which it is not
		exclude http.handlers.audit_log admin
		level WARN
	}
}

https://:{{.Port}} {
{{- if .Host}}
	bind {{.Host}}
{{- end}}
	tls "{{.Files.ServerCert}}" "{{.Files.ServerKey}}" {
		client_auth {
			mode require_and_verify
			trust_pool file "{{.Files.CACert}}"
		}
	}
	@stranger not remote_ip private_ranges
	route {
		audit_log
		error @stranger "address not on the allow-list" 403
		ip_throttle {
			rate 5/s
			burst 10
			penalty 3 10m
			penalty_window 15 10m
			concurrency 200
		}
		jwt_auth {
			secret "{file.{{.Files.Secret}}}"
			max_lifetime 5m
		}
		ollama_adapter {
{{- if .Model}}
			default_model "{{.Model}}"
{{- else}}
			# default_model <the model for requests that name none>
{{- end}}
		}
		reverse_proxy {{.Upstream.Address}}
	}
	handle_errors {
		openai_error
	}
}
`))

// check refuses what cannot stand in the Caddyfile.
func (s *setup) check() error {
	for what, text := range map[string]string{"--state-dir": s.StateDir, "--model": s.Model} {
		// what would end a quoted word, begin a placeholder, or end a socket's path
		if strings.ContainsAny(text, "\"{}`|\n\r") {
			return fmt.Errorf("%s %q: quotes, braces, bars and line breaks cannot stand in a Caddyfile; choose another", what, text)
		}
	}
	return nil
}

// caddyfile writes the Caddyfile of this setup.
func (s *setup) caddyfile() (string, error) {
	if err := s.check(); err != nil {
		return "", err
	}
	var b strings.Builder
	if err := caddyfileTemplate.Execute(&b, s); err != nil {
		return "", err
	}
	return b.String(), nil
}

// Notes are what the reader of the Caddyfile must put right, if anything.
func (s *setup) Notes() []string {
	if s.Upstream.Version == "" {
		return []string{
			"No Ollama answered at " + s.Upstream.Address + " when this was written: put the address of",
			"yours into reverse_proxy, and the name of one of its models into default_model.",
		}
	}
	if s.Lack != "" {
		return []string{"The default model when this was written: " + s.modelLine() + "."}
	}
	return nil
}

// splitListen reads the address to listen on: `:port` or `host:port`.
func splitListen(listen string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(listen)
	if err != nil || port == "" || strings.ContainsAny(host, "\"{} \t") {
		return "", "", fmt.Errorf("--listen %q: give a port or an address and a port, such as :18789 or 127.0.0.1:18789", listen)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", "", fmt.Errorf("--listen %q: %q is no port from 1 to 65535", listen, port)
	}
	return host, port, nil
}
