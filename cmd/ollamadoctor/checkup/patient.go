package checkup

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/netip"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// Patient is what is examined.
type Patient struct {
	Plan
	Ollamas []*Upstream // none: not to be looked at
	Gateway Gateway     // nil: not to be looked at
	Host    Host

	reply  *Reply // to the first request
	err    error  // instead of it
	latest *Reply // to the latest request
}

// Plan is what is known before anybody looks.
type Plan struct {
	GatewayAddress string // host:port that is connected to
	GatewayName    string // that the certificate must have
	// Asked is the model as clients ask for it, Model as Ollama knows it; empty: the
	// first that Ollama has.
	Asked, Model string
	// NoRequest leaves out the request that costs the model some tokens.
	NoRequest bool
	// Abroad: it is said from where to come, or where to connect to; else the gateway that
	// is configured is taken to be on this host.
	Abroad bool

	Certificate *x509.Certificate // the client's; nil: none
	Token       string            // empty: none
	NoTokenWhy  string            // there is none
	BadKeyWhy   string            // the configuration's key, which would make one, is no good

	// Configured is what the configuration says; nil: none was read.
	Configured *Configured
}

// Configured is what a gateway's configuration says.
type Configured struct {
	Sidecar     bool // it is the client's side, and says nothing of the gateway's
	NumCtx      int64
	Engine      bool          // behind is no Ollama, but a server of OpenAI's dialect
	Upstreams   []string      // where Ollama is, or the engine: host:port, or unix//path
	Secured     bool          // it is reached by TLS
	ByModel     bool          // of several, one that has the model gets the request
	Offers      policy.Policy // which models clients may ask for, by which names
	Admin       string        // listens on; empty: off or Caddy's own default
	AllowList   bool          // addresses are looked at
	Inner       bool          // nobody may come but other gateways, which look at tokens and rates
	Rate        bool          // ip_throttle has a rate
	MaxLifetime time.Duration
	Audit       bool   // there is audit_log
	AuditFile   string // empty: it goes elsewhere
	AuditOutput string // the writer
}

// gatewayConfigured is what the gateway's own configuration says, if that was read.
func (p *Patient) gatewayConfigured() *Configured {
	if p.Configured == nil || p.Configured.Sidecar {
		return nil
	}
	return p.Configured
}

// inner reports whether only other gateways may come, who need no token here.
func (p *Patient) inner() bool {
	c := p.gatewayConfigured()
	return c != nil && c.Inner
}

// Asks reports whether the model is asked for a few tokens, if nothing fails before.
func (p *Patient) Asks() bool {
	return p.Gateway != nil && !p.NoRequest && (p.Token != "" || p.inner())
}

// behindIsAnEngine reports whether the configuration says so.
func (p *Patient) behindIsAnEngine() bool {
	c := p.gatewayConfigured()
	return c != nil && c.Engine
}

// Ollama is the native API.
type Ollama interface {
	Version(context.Context) (string, error)
	Installed(context.Context) ([]ollama.Tag, error)
	Running(context.Context) ([]ollama.Tag, error)
	Show(ctx context.Context, model string) (*ollama.Show, error)
}

// Gateway is the gateway as clients see it.
type Gateway interface {
	// Connect opens a TCP connection.
	Connect(context.Context) error
	// Handshake gets the server's certificates, whatever they are worth. It sends no
	// request.
	Handshake(context.Context) ([]*x509.Certificate, error)
	// Trust tells whether the certificates are those of a gateway to trust.
	Trust([]*x509.Certificate) error
	// Plainly sends a request without TLS, a token or anything else of worth.
	Plainly(context.Context) (*Reply, error)
	// Models asks for the list of models, which costs nothing. It needs trust.
	Models(context.Context, Credentials) (*Reply, error)
	// Chat asks a model for a few tokens, in a stream. It needs trust.
	Chat(ctx context.Context, model string) (*Reply, error)
}

// Credentials are which of the client's are shown.
type Credentials struct{ Certificate, Token bool }

// Reply is an answer of the gateway.
type Reply struct {
	Status int
	Header http.Header
	Body   string
	// Sent and Came are when the request went and the header came.
	Sent, Came time.Time
}

// Host is the machine that the examination runs on.
type Host interface {
	Now() time.Time
	// Listeners are the addresses at which TCP connections are taken.
	Listeners() ([]netip.AddrPort, error)
	// Addresses are those of this host.
	Addresses() ([]netip.Addr, error)
	// Lookup are the addresses of a name.
	Lookup(ctx context.Context, name string) ([]netip.Addr, error)
	// Answers reports whether somebody takes connections there.
	Answers(ctx context.Context, address string) bool
	// LogHas reports whether the end of a file has a text, and waits for it until ctx
	// ends.
	LogHas(ctx context.Context, file, text string) (bool, error)
}

// ask sends the first request with all that the client has, once.
func (p *Patient) ask(ctx context.Context) (*Reply, error) {
	if p.reply == nil && p.err == nil {
		p.reply, p.err = p.Gateway.Models(ctx, Credentials{Certificate: p.Certificate != nil, Token: p.Token != ""})
		p.latest = p.reply
	}
	return p.reply, p.err
}
