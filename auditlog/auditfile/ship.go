package auditfile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Ship sends the lines of an audit log to Logstash's beats input, which acknowledges what
// it has taken. Whatever happens to the connection, to Logstash or to the gateway, all
// lines arrive, in order; after a break some may arrive twice. Each has its `event.hash` in
// `[@metadata][_id]`, by which Elasticsearch takes it once. No request waits for it.
//
// How far it has come is in the file `audit.log.shipped`. If that is missing, all is sent
// again. Files are deleted after the retention all the same: a day before lines go that
// were not shipped, that is an error in Caddy's default log.
type Ship struct {
	// Logstash's beats input, as `host:port`.
	Address string `json:"address"`
	// A file with the authorities, in PEM, by which Logstash's certificate is checked.
	// This and the next two are read at each connection. Default: the system's.
	CA string `json:"ca,omitempty"`
	// A file with the certificate that is shown to Logstash, in PEM. Default: none.
	Certificate string `json:"certificate,omitempty"`
	// The file with its private key.
	Key string `json:"key,omitempty"`
	// Sends in the clear: `loopback` to this host only, `anywhere` to any. Default: with TLS.
	Plaintext string `json:"plaintext,omitempty"`
}

// What Plaintext may be.
const (
	plaintextLoopback = "loopback"
	plaintextAnywhere = "anywhere"
)

// dialTimeout is how long connecting may take.
const dialTimeout = 10 * time.Second

// resolve puts in what placeholders stand for.
func (s *Ship) resolve(replacer *caddy.Replacer) (err error) {
	for _, text := range []*string{&s.Address, &s.CA, &s.Certificate, &s.Key} {
		if *text, err = replacer.ReplaceOrErr(*text, true, true); err != nil {
			return fmt.Errorf("ship: %w", err)
		}
	}
	return nil
}

// check refuses what makes no sense. An address may still have placeholders.
func (s *Ship) check() error {
	switch {
	case s.Address == "":
		return errors.New("ship: name the host and port of Logstash's beats input")
	case s.Plaintext != "" && s.Plaintext != plaintextLoopback && s.Plaintext != plaintextAnywhere:
		return fmt.Errorf("ship: plaintext %q: it must be %s or %s", s.Plaintext, plaintextLoopback, plaintextAnywhere)
	case s.Plaintext != "" && (s.CA != "" || s.Certificate != ""):
		return errors.New("ship: plaintext has no use for ca and certificate: take either out")
	case (s.Certificate == "") != (s.Key == ""):
		return errors.New("ship: a certificate needs its key, and a key its certificate")
	case strings.Contains(s.Address, "{"):
		return nil
	}
	host, port, err := net.SplitHostPort(s.Address)
	if number, numberErr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || numberErr != nil || number == 0 {
		return fmt.Errorf("ship: %q is no host:port, such as logstash.example.com:5044", s.Address)
	}
	if s.Plaintext == plaintextLoopback && !onThisHost(host) {
		return fmt.Errorf("ship: the log would go to %s in the clear: leave out plaintext, or say plaintext %s", host, plaintextAnywhere)
	}
	return nil
}

func onThisHost(name string) bool {
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// dial connects to Logstash.
func (s *Ship) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if s.Plaintext != "" {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Address)
	}
	config, err := s.tls()
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", s.Address)
}

// tls reads the files. So certificates can be renewed while the gateway runs.
func (s *Ship) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		text, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca: %s holds no certificate in PEM", s.CA)
		}
	}
	if s.Certificate != "" {
		certificate, err := tls.LoadX509KeyPair(s.Certificate, s.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}
