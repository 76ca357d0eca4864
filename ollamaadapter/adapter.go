// Package ollamaadapter provides the handlers ollama_adapter and openai_error.
package ollamaadapter

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/catalog"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler lets OpenAI clients use Ollama: it turns a request in OpenAI's dialect
// into one for Ollama's native API, hands that to the next handler (put Caddy's
// `reverse_proxy` there) and turns the answer back, streams included.
//
// Path | Becomes
// -----|--------
// `POST /v1/chat/completions` | `POST /api/chat`
// `POST /v1/completions` | `POST /api/generate`
// `POST /v1/embeddings` | `POST /api/embed`
// `GET /v1/models`, `GET /v1/models/{id}` | `GET /api/tags`, `POST /api/show`
//
// The prefix `/v1` may be missing. Every other path is refused here, so that
// nobody gets at Ollama's own endpoints to pull, push or delete models.
//
// With `upstream openai` the same becomes of requests for a server of OpenAI's dialect,
// at the paths on the left: what is checked, bounded, watched and recorded is the same.
//
// A request is read and checked whole before Ollama sees any of it. The request
// that Ollama sees is made anew: no header of the client's, such as Authorization,
// Cookie or Origin, goes on.
type Handler struct {
	// What speaks behind: `ollama`, or `openai` for a server of OpenAI's own dialect, such
	// as vLLM, TGI, llama.cpp or another gateway. Default: `ollama`.
	Upstream string `json:"upstream,omitempty"`
	// The model for requests that name none.
	DefaultModel string `json:"default_model,omitempty"`
	// Which models clients may ask for, as names in which * stands for anything.
	// Default: all but those that run in Ollama's cloud, which must be named.
	Models []string `json:"models,omitempty"`
	// Names that clients may use for models: from each to its real one.
	Aliases map[string]string `json:"alias,omitempty"`
	// What becomes of system messages: `native` leaves them, `merge` folds them
	// into the first user message. Default: `native`.
	SystemRole string `json:"system_role,omitempty"`
	// Ollama's runtime options, such as temperature, for requests that leave them
	// open. Those that a model is loaded with, such as num_ctx, hold for every
	// request, so that no client makes Ollama load a model anew.
	Defaults map[string]any `json:"defaults,omitempty"`
	// The largest value of an option that a client can have. For num_predict it is
	// also what a client gets that leaves it open.
	Limits map[string]float64 `json:"limits,omitempty"`
	// How long a model stays loaded after a request, and the longest that a client
	// may ask for; negative: for ever. Default: what Ollama does.
	KeepAlive *caddy.Duration `json:"keep_alive,omitempty"`
	// The same for single models, in this order, later ones over earlier ones.
	PerModel []ModelOptions `json:"model,omitempty"`
	// What becomes of a conversation that is longer than the model's context:
	// `error` (400 context_length_exceeded), or `truncate`, which lets Ollama drop
	// its older messages. Default: `error`.
	ContextOverflow string `json:"context_overflow,omitempty"`
	// The fields in which an answer shows its reasoning: `both`,
	// `reasoning_content`, `reasoning`, or `hide`. Default: `both`.
	Reasoning string `json:"reasoning,omitempty"`
	// Also serve Ollama's own `/api/chat`, `/api/generate`, `/api/embed`, `/api/tags`,
	// `/api/show`, `/api/ps` and `/api/version` under the same rules. Default: false.
	Native bool `json:"native,omitempty"`
	// The largest request body, in bytes. Default: 10 MB.
	MaxBody int64 `json:"max_body,omitempty"`
	// How often a client is sent a sign of life while Ollama says nothing, because it
	// loads the model or reads the prompt: in a stream, a chunk with an empty delta;
	// none before the first interval is over, so that what fails fast gets a status of
	// its own. 0: never. Default: 15s.
	Heartbeat *caddy.Duration `json:"heartbeat,omitempty"`
	// Sends line breaks as signs of life before an answer that is no stream, too. Then
	// the status 200 is out before it is known whether the answer succeeds; one that
	// does not is broken off. Default: false.
	HeartbeatJSON bool `json:"heartbeat_json,omitempty"`
	// How long Ollama may take for its first word, the loading of the model included.
	// 0: for ever. Default: 300s.
	FirstByteTimeout *caddy.Duration `json:"first_byte_timeout,omitempty"`
	// How long Ollama may be silent between words. 0: for ever. Default: 60s.
	StallTimeout *caddy.Duration `json:"stall_timeout,omitempty"`
	// How long an answer may take as a whole. One that takes longer ends there as if
	// it had reached its limit of tokens. Default: as long as it takes.
	MaxDuration caddy.Duration `json:"max_duration,omitempty"`
	// Requests for a model that is not loaded wait for one load together, which is not
	// lost if one of their clients leaves. Default: true.
	CoalesceLoads *bool `json:"coalesce_loads,omitempty"`

	policy  policy.Policy
	catalog *catalog.Catalog
	loads   *loads
	pace    *pace
	logger  *zap.Logger

	conversationKey *conversationKey
	openings        *openings
}

// ModelOptions are options for the models whose names Glob matches.
type ModelOptions struct {
	Glob      string             `json:"glob"`
	Defaults  map[string]any     `json:"defaults,omitempty"`
	Limits    map[string]float64 `json:"limits,omitempty"`
	KeepAlive *caddy.Duration    `json:"keep_alive,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.ollama_adapter",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets the defaults and makes the policy of the options.
func (h *Handler) Provision(ctx caddy.Context) error {
	if h.Upstream == "" {
		h.Upstream = "ollama"
	}
	if h.SystemRole == "" {
		h.SystemRole = "native"
	}
	if h.ContextOverflow == "" {
		h.ContextOverflow = "error"
	}
	if h.Reasoning == "" {
		h.Reasoning = "both"
	}
	if h.MaxBody == 0 {
		h.MaxBody = 10_000_000
	}
	for option, standard := range map[**caddy.Duration]time.Duration{
		&h.Heartbeat: 15 * time.Second, &h.FirstByteTimeout: 300 * time.Second, &h.StallTimeout: 60 * time.Second,
	} {
		if *option == nil {
			duration := caddy.Duration(standard)
			*option = &duration
		}
	}
	if h.CoalesceLoads == nil {
		on := true
		h.CoalesceLoads = &on
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	exit.heed(ctx)
	h.logger = ctx.Logger()
	h.conversationKey, h.openings = &conversationKey{storage: ctx.Storage(), logger: h.logger}, new(openings)
	h.catalog, h.loads, h.pace = &catalog.Catalog{Engine: h.engine()}, new(loads), new(pace)
	h.policy = policy.Policy{
		DefaultModel: h.DefaultModel,
		Models:       h.Models,
		Aliases:      make(map[string]string, len(h.Aliases)),
		Rules:        policy.Rules{Defaults: h.Defaults, Limits: h.Limits, KeepAlive: seconds(h.KeepAlive)},
	}
	for name, real := range h.Aliases {
		h.policy.Aliases[policy.Canonical(name)] = real
	}
	for _, m := range h.PerModel {
		h.policy.PerModel = append(h.policy.PerModel, policy.ModelRules{
			Glob:  m.Glob,
			Rules: policy.Rules{Defaults: m.Defaults, Limits: m.Limits, KeepAlive: seconds(m.KeepAlive)},
		})
	}
	return nil
}

func seconds(d *caddy.Duration) *float64 {
	if d == nil {
		return nil
	}
	s := time.Duration(*d).Seconds()
	return &s
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (err error) {
	serve, err := h.endpoint(w, r)
	if err != nil {
		return err
	}
	rec, ok := record.Of(r.Context())
	if !ok {
		var ctx context.Context
		ctx, rec = record.Ensure(r.Context())
		r = r.WithContext(ctx)
	}
	defer func() { upstreams.end(rec, err) }() // an answer that breaks off ends in a panic
	if r.ProtoMajor == 3 {
		var done func()
		r, done = withPlainCause(r)
		defer done()
	}
	return serve(w, r, next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
