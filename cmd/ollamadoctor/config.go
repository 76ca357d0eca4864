package ollamadoctor

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
	"github.com/gateway18789/caddy-ollama/jwtauth"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
)

// config is a Caddy configuration, as far as it is of use.
type config struct {
	Admin struct {
		Disabled bool   `json:"disabled"`
		Listen   string `json:"listen"`
	} `json:"admin"`
	Logging struct {
		Logs map[string]struct {
			Writer struct {
				Output   string `json:"output"`
				Filename string `json:"filename"`
			} `json:"writer"`
			Include []string `json:"include"`
			Exclude []string `json:"exclude"`
		} `json:"logs"`
	} `json:"logging"`
	Apps struct {
		HTTP struct {
			Servers map[string]server `json:"servers"`
		} `json:"http"`
		TLS struct {
			Certificates struct {
				Files []struct {
					Certificate string   `json:"certificate"`
					Tags        []string `json:"tags"`
				} `json:"load_files"`
			} `json:"certificates"`
		} `json:"tls"`
	} `json:"apps"`
}

type server struct {
	Listen  []string `json:"listen"`
	Routes  []route  `json:"routes"`
	Trusted struct {
		Source string   `json:"source"`
		Ranges []string `json:"ranges"`
	} `json:"trusted_proxies"`
	Policies []struct {
		Selection struct {
			AnyTag []string `json:"any_tag"`
		} `json:"certificate_selection"`
		ClientAuthentication struct {
			Mode string `json:"mode"`
			CA   struct {
				PEMFiles []string `json:"pem_files"`
			} `json:"ca"`
		} `json:"client_authentication"`
	} `json:"tls_connection_policies"`
}

type route struct {
	Match  []map[string]json.RawMessage `json:"match"`
	Handle []handler                    `json:"handle"`
}

// handler is one of a route, with all that it says.
type handler struct {
	Name   string  `json:"handler"`
	Routes []route `json:"routes"` // of a subroute

	raw json.RawMessage
}

func (h *handler) UnmarshalJSON(data []byte) error {
	type plain handler
	h.raw = slices.Clone(data)
	return json.Unmarshal(data, (*plain)(h))
}

// into decodes a handler as its module does.
func (h *handler) into(module any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(h.raw, &members); err != nil {
		return err
	}
	delete(members, "handler") // what Caddy itself takes out
	data, err := json.Marshal(members)
	if err != nil {
		return err
	}
	return caddy.StrictUnmarshalJSON(data, module)
}

// readConfig reads a configuration in JSON, or a Caddyfile through Caddy's adapter.
func readConfig(file string) (c config, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	if filepath.Ext(file) != ".json" {
		adapter := caddyconfig.GetAdapter("caddyfile")
		if adapter == nil {
			return c, errors.New("this Caddy cannot read a Caddyfile")
		}
		if data, _, err = adapter.Adapt(data, map[string]any{"filename": file}); err != nil {
			return c, err
		}
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("the configuration in %s: %w", file, err)
	}
	return c, nil
}

// site is the part of a configuration that makes a gateway, or a sidecar.
type site struct {
	server   server
	hosts    []string
	handlers []handler  // in the order in which a request meets them
	matchers []string   // the names of all matchers
	admitted [][]string // addresses that single routes do not refuse
}

// site finds the gateway in a configuration, or else the sidecar. A port may choose.
func (c config) site(port string) (s site, sidecar bool, err error) {
	for _, names := range [][]string{{"ollama_adapter"}, {"jwt_auth"}, {"jwt_mint"}, {"ip_throttle", "audit_log"}} {
		for _, name := range slices.Sorted(maps.Keys(c.Apps.HTTP.Servers)) {
			srv := c.Apps.HTTP.Servers[name]
			if port != "" && names[0] != "jwt_mint" && !srv.serves(port) {
				continue
			}
			for _, r := range srv.Routes {
				s := site{server: srv, hosts: r.hosts()}
				s.collect(r)
				if slices.ContainsFunc(names, func(name string) bool { return s.first(name) != nil }) {
					return s, names[0] == "jwt_mint", nil
				}
			}
		}
	}
	return site{}, false, errors.New("the configuration has no site with ollama_adapter, jwt_auth or jwt_mint" + onPort(port))
}

func onPort(port string) string {
	if port == "" {
		return ""
	}
	return " on port " + port
}

// serves reports whether the server has a port, or a socket of which nobody knows.
func (s server) serves(port string) bool {
	for _, listen := range s.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		if err != nil || !strings.HasPrefix(address.Network, "tcp") || address.StartPort == 0 || fmt.Sprint(address.StartPort) == port {
			return true
		}
	}
	return false
}

func (r route) hosts() (hosts []string) {
	for _, set := range r.Match {
		var names []string
		if err := json.Unmarshal(set["host"], &names); err == nil {
			hosts = append(hosts, names...)
		}
	}
	return hosts
}

// has reports whether the route has a handler of one of these names, however deep.
func (r route) has(names ...string) bool {
	return slices.ContainsFunc(r.Handle, func(h handler) bool {
		return slices.Contains(names, h.Name) || slices.ContainsFunc(h.Routes, func(inner route) bool { return inner.has(names...) })
	})
}

// collect takes in the handlers of a route, but not of one that is the console's: what
// stands before that no client passes.
func (s *site) collect(r route) {
	if r.has("gateway_console") && !r.has("ollama_adapter", "reverse_proxy") {
		return
	}
	s.admits(r)
	for _, set := range r.Match {
		text, _ := json.Marshal(set) // which was JSON
		for _, name := range []string{"remote_ip", "client_ip"} {
			if strings.Contains(string(text), `"`+name+`":`) {
				s.matchers = append(s.matchers, name)
			}
		}
	}
	for _, h := range r.Handle {
		s.handlers = append(s.handlers, h)
		for _, inner := range h.Routes {
			s.collect(inner)
		}
	}
}

// first is the first handler of a name; nil if there is none.
func (s site) first(name string) *handler {
	for i := range s.handlers {
		if s.handlers[i].Name == name {
			return &s.handlers[i]
		}
	}
	return nil
}

// address is where to connect to, as somebody on this host does; empty if the
// configuration does not tell.
func (s site) address() string {
	for _, listen := range s.server.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		if err != nil || !strings.HasPrefix(address.Network, "tcp") || address.StartPort == 0 {
			continue
		}
		host := address.Host
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		return net.JoinHostPort(host, fmt.Sprint(address.StartPort))
	}
	return ""
}

// nameOf is a name by which clients know a site: one of its own, or if it takes every
// name, one of its certificate.
func (c config) nameOf(s site) string {
	for _, host := range s.hosts {
		if !strings.ContainsAny(host, "*{") {
			return host
		}
	}
	for _, file := range c.Apps.TLS.Certificates.Files {
		certificate, err := os.ReadFile(file.Certificate)
		if err != nil || !s.selects(file.Tags) {
			continue // the gateway itself says so louder
		}
		block, _ := pem.Decode(certificate)
		if block == nil {
			continue
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err == nil && len(leaf.DNSNames) > 0 {
			return leaf.DNSNames[0]
		}
	}
	return "localhost"
}

// selects reports whether the site's server uses a certificate with these tags.
func (s site) selects(tags []string) bool {
	for _, policy := range s.server.Policies {
		for _, tag := range policy.Selection.AnyTag {
			if slices.Contains(tags, tag) {
				return true
			}
		}
	}
	return false
}

// clientCAs are the files with the CAs of the clients.
func (s site) clientCAs() (files []string) {
	for _, policy := range s.server.Policies {
		files = append(files, policy.ClientAuthentication.CA.PEMFiles...)
	}
	return files
}

// configured is what the configuration says of the gateway.
func (c config) configured(s site) (*checkup.Configured, ollamaadapter.Handler, error) {
	facts := &checkup.Configured{
		AllowList: len(s.matchers) > 0, Upstreams: s.upstreams(), Secured: s.secured(), ByModel: s.byModel(),
		Inner: s.inner(), Audit: s.first("audit_log") != nil,
	}
	if !c.Admin.Disabled {
		facts.Admin = c.Admin.Listen
	}
	var adapter ollamaadapter.Handler
	if h := s.first("ollama_adapter"); h != nil {
		if err := h.into(&adapter); err != nil {
			return nil, adapter, fmt.Errorf("ollama_adapter: %w", err)
		}
		facts.Engine = adapter.Upstream == "openai"
		facts.Offers = offers(adapter)
	}
	if h := s.first("jwt_auth"); h != nil {
		var auth jwtauth.Handler
		if err := h.into(&auth); err != nil {
			return nil, adapter, fmt.Errorf("jwt_auth: %w", err)
		}
		facts.MaxLifetime = time.Duration(auth.MaxLifetime)
	}
	if h := s.first("ip_throttle"); h != nil {
		var throttle struct {
			Rate string `json:"rate"`
		}
		_ = json.Unmarshal(h.raw, &throttle)
		facts.Rate = throttle.Rate != ""
	}
	facts.AuditOutput, facts.AuditFile = c.auditLog()
	return facts, adapter, nil
}

// auditLog is where the records of audit_log go: a writer, and its file if it has one.
func (c config) auditLog() (output, file string) {
	const logger = "http.handlers.audit_log"
	takes := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return name == logger || strings.HasPrefix(logger, name+".") })
	}
	for _, name := range slices.Sorted(maps.Keys(c.Logging.Logs)) {
		log := c.Logging.Logs[name]
		if takes(log.Exclude) || len(log.Include) > 0 && !takes(log.Include) {
			continue
		}
		if output == "" || file == "" {
			output, file = log.Writer.Output, log.Writer.Filename
		}
	}
	return output, file
}
