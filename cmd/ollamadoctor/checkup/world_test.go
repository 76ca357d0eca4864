package checkup

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world plays everything that is examined. What is not set is well.
type world struct {
	version               string
	versionErr            error
	installed, running    []ollama.Tag
	installedErr, showErr error
	context               int

	connectErr, handshakeErr, trustErr error
	leaf                               *x509.Certificate
	plain                              *Reply
	plainErr                           error
	models, bare, chat                 *Reply
	modelsErr, bareErr, chatErr        error

	listeners []netip.AddrPort
	own       []netip.Addr
	names     map[string]string // and their addresses
	answers   string            // the address at which somebody does
	recorded  bool
	logErr    error

	asked []string // the requests, in their order
}

func (w *world) Version(context.Context) (string, error)         { return w.version, w.versionErr }
func (w *world) Installed(context.Context) ([]ollama.Tag, error) { return w.installed, w.installedErr }
func (w *world) Running(context.Context) ([]ollama.Tag, error)   { return w.running, nil }
func (w *world) Show(context.Context, string) (*ollama.Show, error) {
	return &ollama.Show{ModelInfo: map[string]jsontext.Value{"llama.context_length": jsontext.Value(fmt.Sprint(w.context))}}, w.showErr
}
func (w *world) Connect(context.Context) error { return w.connectErr }
func (w *world) Handshake(context.Context) ([]*x509.Certificate, error) {
	return []*x509.Certificate{w.leaf}, w.handshakeErr
}
func (w *world) Trust([]*x509.Certificate) error         { return w.trustErr }
func (w *world) Plainly(context.Context) (*Reply, error) { return w.plain, w.plainErr }
func (w *world) Models(_ context.Context, c Credentials) (*Reply, error) {
	w.asked = append(w.asked, fmt.Sprintf("models, certificate %t, token %t", c.Certificate, c.Token))
	switch {
	case !c.Certificate:
		return w.bare, w.bareErr
	case !c.Token:
		return reply(401, "", "Www-Authenticate", `Bearer realm="caddy-ollama"`), nil
	}
	return w.models, w.modelsErr
}
func (w *world) Chat(_ context.Context, model string) (*Reply, error) {
	w.asked = append(w.asked, "chat with "+model)
	return w.chat, w.chatErr
}
func (w *world) Now() time.Time                       { return now }
func (w *world) Listeners() ([]netip.AddrPort, error) { return w.listeners, nil }
func (w *world) Addresses() ([]netip.Addr, error)     { return w.own, nil }
func (w *world) Lookup(_ context.Context, name string) ([]netip.Addr, error) {
	ip, err := netip.ParseAddr(w.names[name])
	return []netip.Addr{ip}, err
}
func (w *world) Answers(_ context.Context, address string) bool {
	return address == w.answers
}
func (w *world) LogHas(context.Context, string, string) (bool, error) { return w.recorded, w.logErr }

// reply is an answer with headers: name, value, name, value …
func reply(status int, body string, headers ...string) *Reply {
	r := &Reply{Status: status, Body: body, Header: http.Header{}, Sent: now, Came: now}
	r.Header.Set("Date", now.Format(http.TimeFormat))
	r.Header.Set("X-Request-Id", "request-1")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

const goodStream = "data: {\"object\":\"chat.completion.chunk\",\"system_fingerprint\":\"fp_1\"}\n\ndata: [DONE]\n\n"

func stream(body string) *Reply { return reply(200, body, "Content-Type", "text/event-stream") }

// tokenOf is a token with these claims and a signature that nobody looks at.
func tokenOf(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
}

func living(from, until time.Duration) string {
	return tokenOf(fmt.Sprintf(`{"sub":"bot","iat":%d,"exp":%d}`, now.Add(from).Unix(), now.Add(until).Unix()))
}

func refused(status int) *Reply {
	return reply(status, "", "Www-Authenticate", `Bearer realm="caddy-ollama", error="invalid_token"`)
}

// well is a patient that nothing is wrong with.
func well() (*Patient, *world) {
	certificate := func(name string) *x509.Certificate {
		return &x509.Certificate{
			Subject: pkix.Name{CommonName: name}, Issuer: pkix.Name{CommonName: "some CA"}, DNSNames: []string{"gw.example.com"},
			NotBefore: now.Add(-1000 * time.Hour), NotAfter: now.Add(1000 * time.Hour),
		}
	}
	w := &world{
		version: "0.33.0", context: 32768,
		installed: []ollama.Tag{{Name: "qwen3:32b"}}, running: []ollama.Tag{{Name: "qwen3:32b", ContextLength: 4096}},
		leaf:    certificate("gw"),
		plain:   reply(308, "", "Location", "https://gw.example.com/"),
		models:  reply(200, "", "X-Ratelimit-Limit-Requests", "10", "X-Ratelimit-Remaining-Requests", "9"),
		bareErr: errors.New("remote error: tls: certificate required"),
		chat:    stream(goodStream), recorded: true,
		listeners: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:11434"), netip.MustParseAddrPort("[::]:22")},
	}
	p := &Patient{Ollamas: []*Upstream{{Address: "127.0.0.1:11434", API: w}}, Gateway: w, Host: w, Plan: Plan{
		GatewayAddress: "127.0.0.1:18789", GatewayName: "gw.example.com",
		Asked: "qwen3:32b", Model: "qwen3:32b", Certificate: certificate("bot"), Token: living(-time.Second, 299*time.Second),
		Configured: &Configured{NumCtx: 4096, Upstreams: []string{"127.0.0.1:11434"}, AllowList: true, Rate: true, Audit: true, AuditFile: "audit.log"},
	}}
	return p, w
}

func examine(p *Patient) map[string]Finding {
	found := make(map[string]Finding)
	Examine(context.Background(), p, func(s Step) { found[s.Name] = s.Finding })
	return found
}
