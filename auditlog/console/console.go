// Package console provides the gateway_console handler.
package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/board"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler shows operators what the gateway does now, on one page: the requests in
// flight, with a button that cancels one; the zones of ip_throttle and who is blocked in
// them, with a button that lifts a block; requests and tokens of the last hour by user and
// model; the time to the first chunk; the models that Ollama has loaded; the last hundred
// requests. It shows what the audit record says, and so never a prompt, a completion, a
// token or a secret; users have their pseudonyms, if audit_log gives them some.
//
// It shows the requests that pass audit_log in this process, from the time when the
// first configuration with a gateway_console came into force.
//
// **Who may see it can cancel anybody's request and lift any block.** So put it where only
// operators get: best on a site of its own that listens on loopback, or else behind
// jwt_auth with a scope that no client has. Its data are refused unless the request comes
// from this host itself and by its name or address, or has passed jwt_auth, basic_auth or
// another of Caddy's authentications (it has a `{http.auth.user.id}`); a client
// certificate alone does not count, for every client has one. Where something else keeps
// strangers out, which it cannot see, say so with `protected_elsewhere`.
//
// It has the paths of a site of its own; below a path of another site put it into
// `handle_path /console/*`, which takes that off. It answers to these as they are written
// here and in no other way, so that no other handler takes them for something else:
//
// Path | |
// -----|--------
// `GET /` | the page, and beside it its parts; these say nothing of the gateway
// `GET /events` | what it shows, live
// `POST /cancel`, `POST /unblock` | what its buttons do
//
// The last three want the header `X-Gateway-Console: 1`, so that no other site can have
// a browser ask for them.
type Handler struct {
	// The address of an Ollama whose loaded models are shown, such as
	// `http://127.0.0.1:11434`. It is asked only while somebody looks. Not set: none.
	Ollama string `json:"ollama,omitempty"`
	// How many may look at once. Default: 16.
	Viewers int `json:"viewers,omitempty"`
	// Says that something keeps strangers away that this handler cannot see, such as
	// forward_auth or a firewall. Default: false.
	ProtectedElsewhere bool `json:"protected_elsewhere,omitempty"`

	board   *shared // nil until acquired
	loaded  *loaded // nil if there is no Ollama
	sights  *sights
	looking *atomic.Int64
	logger  *zap.Logger

	ending context.Context // over when this configuration is, or the server stops
	end    context.CancelFunc
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.gateway_console",
		New: func() caddy.Module { return new(Handler) },
	}
}

// boards holds the process's board while any configuration has a console.
var boards = caddy.NewUsagePool()

// boardKey is what it is called there.
const boardKey = "board"

// shared is a board that ends with its last console.
type shared struct{ *board.Board }

// Destruct implements caddy.Destructor.
func (s *shared) Destruct() error {
	board.Drop(s.Board)
	return nil
}

// Provision joins the board.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	if h.Viewers == 0 {
		h.Viewers = 16
	}
	// Not the context of Provision: it ends when a stopping server has waited for all
	// its requests, and so for those who look.
	h.ending, h.end = context.WithCancel(context.Background())
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		server.RegisterOnShutdown(h.end)
	}
	if h.Ollama != "" {
		address, err := parseOllama(h.Ollama)
		if err != nil {
			return err
		}
		h.loaded = newLoaded(h.ending, address)
	}
	joined, _, err := boards.LoadOrNew(boardKey, func() (caddy.Destructor, error) {
		b := &shared{board.New()}
		board.Use(b.Board)
		return b, nil
	})
	if err != nil {
		return err
	}
	h.board = joined.(*shared)
	h.looking = new(atomic.Int64)
	h.sights = &sights{board: h.board.Board, loaded: h.loaded}
	return nil
}

// Validate checks the options.
func (h *Handler) Validate() error {
	if h.Viewers < 1 || h.Viewers > mostViewers {
		return fmt.Errorf("viewers %d: give a number from 1 to %d", h.Viewers, mostViewers)
	}
	return nil
}

// mostViewers is far more than there are operators.
const mostViewers = 1000

// parseOllama reads the address of an Ollama. It may have no password in it, which would
// be seen wherever the configuration is.
func parseOllama(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("ollama: the address cannot be read: give one such as http://127.0.0.1:11434")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.User != nil,
		u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("ollama: give a scheme, a host and a port, such as http://127.0.0.1:11434, and nothing else")
	}
	return u, nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	secure(w.Header())
	serve, methods := h.servePart, []string{http.MethodGet, http.MethodHead}
	switch r.URL.EscapedPath() {
	case "/events":
		serve, methods = h.guarded(h.serveEvents), []string{http.MethodGet} // HEAD would wait for its end
	case "/cancel":
		serve, methods = h.guarded(h.serveCancel), []string{http.MethodPost}
	case "/unblock":
		serve, methods = h.guarded(h.serveUnblock), []string{http.MethodPost}
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return caddyhttp.Error(http.StatusMethodNotAllowed, openai.ErrorOf(http.StatusMethodNotAllowed))
	}
	if r.Method != http.MethodPost {
		board.Hide(r.Context())
	}
	return serve(w, r)
}

// Cleanup ends what this configuration shows, and leaves the board.
func (h *Handler) Cleanup() error {
	if h.end != nil {
		h.end()
	}
	if h.loaded != nil {
		h.loaded.close()
	}
	if h.board == nil {
		return nil
	}
	_, err := boards.Delete(boardKey)
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddy.Destructor            = (*shared)(nil)
)
