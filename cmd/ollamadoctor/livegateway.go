package ollamadoctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
)

// gateway is the gateway at an address, under a name.
type gateway struct {
	name, address, hostHeader string
	dialer                    net.Dialer
	roots                     *x509.CertPool
	certificate               *tls.Certificate
	token                     string
}

func (g *gateway) dial(ctx context.Context) (net.Conn, error) {
	return g.dialer.DialContext(ctx, "tcp", g.address)
}

// Connect implements checkup.Gateway.
func (g *gateway) Connect(ctx context.Context) error {
	conn, err := g.dial(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Handshake implements checkup.Gateway.
func (g *gateway) Handshake(ctx context.Context) ([]*x509.Certificate, error) {
	conn, err := g.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// nothing is sent over this connection, and what it shows is looked at by Trust
	secured := tls.Client(conn, &tls.Config{ServerName: g.name, InsecureSkipVerify: true, Certificates: g.certificates(true)})
	if err := secured.HandshakeContext(ctx); err != nil {
		// who asks for a certificate in TLS 1.2 breaks off here, and has shown its own
		if chain := secured.ConnectionState().PeerCertificates; len(chain) > 0 {
			return chain, nil
		}
		return nil, err
	}
	return secured.ConnectionState().PeerCertificates, nil
}

func (g *gateway) certificates(shown bool) []tls.Certificate {
	if !shown || g.certificate == nil {
		return nil
	}
	return []tls.Certificate{*g.certificate}
}

// Trust implements checkup.Gateway.
func (g *gateway) Trust(chain []*x509.Certificate) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: g.name, Roots: g.roots, Intermediates: between})
	return err
}

// Plainly implements checkup.Gateway.
func (g *gateway) Plainly(ctx context.Context) (*checkup.Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.hostHeader+"/v1/models", nil)
	if err != nil {
		return nil, err
	}
	return g.send(req, &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return g.dial(ctx) },
	})
}

// Models implements checkup.Gateway.
func (g *gateway) Models(ctx context.Context, shown checkup.Credentials) (*checkup.Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+g.hostHeader+"/v1/models", nil)
	if err != nil {
		return nil, err
	}
	reply, err := g.secure(req, shown)
	if err != nil && !strings.Contains(err.Error(), "remote error: tls: ") {
		if told := g.toldWhy(ctx, shown); told != nil {
			return nil, told
		}
	}
	return reply, err
}

// Chat implements checkup.Gateway.
func (g *gateway) Chat(ctx context.Context, model string) (*checkup.Reply, error) {
	body, err := json.Marshal(map[string]any{
		"model": model, "stream": true, "max_tokens": 8,
		"messages": []map[string]string{{"role": "user", "content": "Answer with one word: are you well?"}},
	})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+g.hostHeader+"/v1/chat/completions", strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return g.secure(req, checkup.Credentials{Certificate: true, Token: true})
}

func (g *gateway) tlsConfig(shown checkup.Credentials) *tls.Config {
	return &tls.Config{ServerName: g.name, RootCAs: g.roots, Certificates: g.certificates(shown.Certificate)}
}

func (g *gateway) secure(req *http.Request, shown checkup.Credentials) (*checkup.Reply, error) {
	if shown.Token && g.token != "" {
		req.Header.Set("Authorization", "Bearer "+g.token)
	}
	return g.send(req, &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return g.dial(ctx) },
		TLSClientConfig: g.tlsConfig(shown),
	})
}

// send sends a request over a connection of its own, and follows no redirect.
func (g *gateway) send(req *http.Request, transport *http.Transport) (*checkup.Reply, error) {
	transport.DisableKeepAlives, transport.DisableCompression = true, true
	req.Header.Set("User-Agent", "caddy-ollama-doctor")
	reply := &checkup.Reply{Sent: time.Now()}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	reply.Came = time.Now()
	reply.Status, reply.Header = resp.StatusCode, resp.Header
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	reply.Body = string(body)
	return reply, err
}

// toldWhy is the TLS alert with which the gateway ends a connection. Who writes a
// request into one that is just being refused may lose it.
func (g *gateway) toldWhy(ctx context.Context, shown checkup.Credentials) error {
	conn, err := g.dial(ctx)
	if err != nil {
		return nil
	}
	defer conn.Close()
	secured := tls.Client(conn, g.tlsConfig(shown))
	if err := secured.HandshakeContext(ctx); err != nil {
		return onlyAlert(err)
	}
	_ = secured.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, err = secured.Read(make([]byte, 1))
	return onlyAlert(err)
}

func onlyAlert(err error) error {
	if err != nil && strings.Contains(err.Error(), "remote error: tls: ") {
		return err
	}
	return nil
}

var _ checkup.Gateway = (*gateway)(nil)
