package ollamadoctor

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

const (
	// defaultOllama is where Ollama listens if nobody says otherwise.
	defaultOllama = "127.0.0.1:11434"
	// defaultGateway is where a gateway listens on a socket that it is given, of which the
	// configuration does not say where it is.
	defaultGateway = "127.0.0.1:18789"
)

// patient is who the options and the configuration name.
func (o options) patient(stdin io.Reader) (*checkup.Patient, error) {
	if o.config == "" && o.url == "" && o.ollama == "" {
		return nil, errors.New("nobody to examine: give --config, --url or --ollama")
	}
	p := &checkup.Patient{Host: host{}}
	p.NoRequest, p.Asked, p.Model = o.noRequest, o.model, o.model
	p.Abroad = o.from != "" || o.connect != ""
	files := tlsFiles{}
	if o.ca != "" {
		files.cas = []string{o.ca}
	}
	var mint func(certificate string) (string, error)
	if o.config != "" {
		s, err := o.fromConfig(p, &files)
		if err != nil {
			return nil, err
		}
		mint = s.mint
	}
	if o.url != "" {
		u, err := parseURL(o.url)
		if err != nil {
			return nil, err
		}
		port := cmp.Or(u.Port(), "443")
		p.GatewayName = u.Hostname()
		if p.GatewayAddress == "" { // the configuration's is on this host, and surer than the DNS
			p.GatewayAddress = net.JoinHostPort(u.Hostname(), port)
		}
	}
	if o.connect != "" {
		if _, _, err := net.SplitHostPort(o.connect); err != nil {
			return nil, fmt.Errorf("--connect %q: give an address and a port, such as 127.0.0.1:18789", o.connect)
		}
		p.GatewayAddress = o.connect
	}
	if err := o.addOllamas(p); err != nil {
		return nil, err
	}
	if p.GatewayAddress == "" {
		if o.config != "" {
			return nil, errors.New("the configuration does not say where the gateway is: give --url")
		}
		return p, nil
	}
	return p, o.addGateway(p, files, mint, stdin)
}

// tlsFiles are the files that a client of the gateway needs.
type tlsFiles struct {
	cas       []string
	system    bool // its CAs are good, too
	cert, key string
}

// fromConfig takes in what the configuration says.
func (o options) fromConfig(p *checkup.Patient, files *tlsFiles) (site, error) {
	c, err := readConfig(o.config)
	if err != nil {
		return site{}, err
	}
	port := ""
	if u, err := parseURL(o.url); err == nil {
		port = u.Port()
	}
	s, sidecar, err := c.site(port)
	if err != nil {
		return s, fmt.Errorf("%s: %w", o.config, err)
	}
	if sidecar {
		p.Configured = &checkup.Configured{Sidecar: true}
		t := s.transport().Transport.TLS
		if dials := s.upstreams(); len(dials) > 0 {
			p.GatewayAddress = dials[0]
			name, _, _ := net.SplitHostPort(dials[0])
			p.GatewayName = cmp.Or(t.ServerName, name)
		}
		if files.cas == nil {
			files.cas = t.CA.PEMFiles
		}
		files.cert, files.key = t.Certificate, t.Key
		return s, nil
	}
	facts, adapter, err := c.configured(s)
	if err != nil {
		return s, fmt.Errorf("%s: %w", o.config, err)
	}
	p.Configured = facts
	p.GatewayAddress, p.GatewayName = s.address(), c.nameOf(s)
	if p.GatewayAddress == "" && o.url == "" {
		p.GatewayAddress = defaultGateway
	}
	if files.cas == nil {
		files.cas, files.system = s.clientCAs(), true
	}
	p.Asked, p.Model, facts.NumCtx = modelOf(adapter, o.model)
	return s, nil
}

// modelOf is the model that a client asks for, what it is called at Ollama, and the
// num_ctx that the adapter gives it.
func modelOf(adapter ollamaadapter.Handler, named string) (asked, model string, numCtx int64) {
	asked = cmp.Or(named, adapter.DefaultModel)
	model = cmp.Or(offers(adapter).Aliases[policy.Canonical(asked)], asked)
	rules := policy.Policy{Rules: policy.Rules{Defaults: adapter.Defaults, Limits: adapter.Limits}}
	for _, m := range adapter.PerModel {
		rules.PerModel = append(rules.PerModel, policy.ModelRules{Glob: m.Glob, Rules: policy.Rules{Defaults: m.Defaults, Limits: m.Limits}})
	}
	switch n := rules.For(model).Defaults["num_ctx"].(type) { // a number is a float64, out of JSON
	case float64:
		numCtx = int64(n)
	case int64:
		numCtx = n
	}
	return asked, model, numCtx
}

// offers are the models that clients may ask for, by which names.
func offers(adapter ollamaadapter.Handler) policy.Policy {
	p := policy.Policy{Models: adapter.Models}
	for public, name := range adapter.Aliases {
		if p.Aliases == nil {
			p.Aliases = make(map[string]string)
		}
		p.Aliases[policy.Canonical(public)] = name
	}
	return p
}

// addOllamas takes those in that are named, or that it is known where they are, or the one
// that must be on this host.
func (o options) addOllamas(p *checkup.Patient) error {
	var addresses []string
	ip, err := netip.ParseAddr(p.GatewayName)
	switch {
	case o.ollama != "":
		address, err := ollamaAddress(o.ollama)
		if err != nil {
			return err
		}
		addresses = []string{address}
	case p.Configured != nil:
		if !p.Configured.Engine {
			addresses = p.Configured.Upstreams
		}
	case p.GatewayName == "localhost", err == nil && ip.IsLoopback():
		addresses = []string{defaultOllama}
	}
	for _, address := range addresses {
		p.Ollamas = append(p.Ollamas, &checkup.Upstream{Address: address, API: newOllama(address)})
	}
	return nil
}

// ollamaAddress reads --ollama.
func ollamaAddress(text string) (string, error) {
	address, found := strings.CutPrefix(text, "http://")
	if !found && strings.Contains(text, "://") {
		return "", fmt.Errorf("--ollama %q: give an address such as http://%s", text, defaultOllama)
	}
	address = strings.TrimSuffix(address, "/")
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), "11434")
	}
	return address, nil
}

// addGateway takes the gateway in, with all that a client of it has.
func (o options) addGateway(p *checkup.Patient, files tlsFiles, mint func(string) (string, error), stdin io.Reader) error {
	if (o.cert == "") != (o.key == "") {
		return errors.New("--cert and --key belong together")
	}
	if o.cert != "" {
		files.cert, files.key = o.cert, o.key
	}
	g := &gateway{name: p.GatewayName, address: p.GatewayAddress}
	if _, port, err := net.SplitHostPort(p.GatewayAddress); err == nil {
		g.hostHeader = net.JoinHostPort(p.GatewayName, port)
	}
	var err error
	if g.roots, err = readCAs(files); err != nil {
		return err
	}
	if files.cert != "" {
		pair, err := tls.LoadX509KeyPair(files.cert, files.key)
		if err != nil {
			return fmt.Errorf("the client certificate %s and its key %s: %w", files.cert, files.key, err)
		}
		g.certificate, p.Certificate = &pair, pair.Leaf
	}
	if o.from != "" {
		ip, err := netip.ParseAddr(o.from)
		if err != nil {
			return fmt.Errorf("--from %q is no IP address", o.from)
		}
		g.dialer.LocalAddr = &net.TCPAddr{IP: ip.AsSlice()}
	}
	if err := o.addToken(p, files, mint, stdin); err != nil {
		return err
	}
	g.token = p.Token
	p.Gateway = g
	return nil
}

// addToken takes in the token that is given, or one made with the configuration's key.
func (o options) addToken(p *checkup.Patient, files tlsFiles, mint func(string) (string, error), stdin io.Reader) error {
	switch {
	case o.token != "" && o.tokenFile != "":
		return errors.New("give one of --token and --token-file")
	case o.token != "":
		p.Token = strings.TrimSpace(o.token)
	case o.tokenFile == "-":
		text, err := io.ReadAll(io.LimitReader(stdin, 1<<20))
		if err != nil {
			return fmt.Errorf("reading the token: %w", err)
		}
		p.Token = strings.TrimSpace(string(text))
	case o.tokenFile != "":
		text, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return fmt.Errorf("reading the token: %w", err)
		}
		p.Token = strings.TrimSpace(string(text))
	case mint != nil:
		token, err := mint(files.cert)
		if bad, ok := errors.AsType[badKey](err); ok {
			p.BadKeyWhy = string(bad)
		} else if err != nil {
			p.NoTokenWhy = fmt.Sprintf("none is given (--token-file), and none can be made with the configuration: %v", err)
		}
		p.Token = token
	}
	p.Token = strings.TrimSpace(strings.TrimPrefix(p.Token, "Bearer ")) // as it stands in a header
	if strings.ContainsAny(p.Token, " \t\r\n") {
		return errors.New("the token has blanks or line breaks within: give a file with nothing but the token")
	}
	return nil
}

// readCAs reads the CAs that a gateway's certificate may be of.
func readCAs(files tlsFiles) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if files.cas == nil || files.system {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("the system's CAs: %w", err)
		}
	}
	for _, file := range files.cas {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the CA: %w", err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate in PEM form", file)
		}
	}
	return pool, nil
}
