// Package ollamaadapter provides the handlers ollama_adapter and openai_error.
package ollamaadapter

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
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
// `GET /v1/models` | `GET /api/tags`
//
// The prefix `/v1` may be missing. Every other path is refused here, so that
// nobody gets at Ollama's own endpoints to pull, push or delete models.
//
// A request is read and checked whole before Ollama sees any of it. The request
// that Ollama sees is made anew: no header of the client's, such as Authorization,
// Cookie or Origin, goes on.
type Handler struct {
	// The model for requests that name none.
	DefaultModel string `json:"default_model,omitempty"`
	// What becomes of system messages: `native` leaves them, `merge` folds them
	// into the first user message. Default: `native`.
	SystemRole string `json:"system_role,omitempty"`
	// Ollama's runtime options, such as temperature, for requests that leave them
	// open. Those that a model is loaded with, such as num_ctx, hold for every
	// request, so that no client makes Ollama load a model anew.
	Defaults map[string]any `json:"defaults,omitempty"`
	// The largest request body, in bytes. Default: 10 MB.
	MaxBody int64 `json:"max_body,omitempty"`

	settings translate.Settings
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.ollama_adapter",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets the defaults.
func (h *Handler) Provision(caddy.Context) error {
	if h.SystemRole == "" {
		h.SystemRole = "native"
	}
	if h.MaxBody == 0 {
		h.MaxBody = 10_000_000
	}
	h.settings = translate.Settings{
		DefaultModel: h.DefaultModel,
		MergeSystem:  h.SystemRole == "merge",
		Defaults:     h.Defaults,
	}
	return nil
}

// Validate checks the options.
func (h *Handler) Validate() error {
	if h.SystemRole != "native" && h.SystemRole != "merge" {
		return fmt.Errorf("system_role %q: it must be native or merge", h.SystemRole)
	}
	if h.MaxBody < 0 {
		return fmt.Errorf("max_body %d: it must be positive", h.MaxBody)
	}
	for name, value := range h.Defaults {
		if _, err := ollama.ParseOption(name, fmt.Sprint(value)); err != nil {
			return fmt.Errorf("defaults: %w", err)
		}
	}
	return nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	serve, err := h.endpoint(w, r)
	if err != nil {
		return err
	}
	return serve(w, r, next)
}

// serveChat serves POST /v1/chat/completions.
func (h *Handler) serveChat(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	rec := record.From(r.Context())
	rec.Operation = "chat"
	body, err := h.readBody(w, r)
	if err != nil {
		return err
	}
	req, err := translate.DecodeChat(body)
	if err != nil {
		return refused(err)
	}
	rec.Stream = req.Stream
	rec.ConversationID = conversationID(r, req)
	w.Header().Set("X-Conversation-Id", rec.ConversationID)
	native, err := translate.ChatRequest(req, h.settings)
	if err != nil {
		return refused(err)
	}
	rec.RequestModel = native.Model

	payload, err := json.Marshal(native, json.Deterministic(true))
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("encoding the request for Ollama: %w", err))
	}
	id := translate.Identity{ID: translate.NewID(), Created: time.Now().Unix(), Model: native.Model}
	out := upstreamRequest(r, http.MethodPost, "/api/chat", payload)
	if req.Stream {
		includeUsage := req.StreamOptions != nil && req.StreamOptions.IncludeUsage
		return streamChat(w, out, next, translate.NewStream(id, includeUsage))
	}
	return completeChat(w, out, next, id)
}

// completeChat fetches an answer and sends it whole.
func completeChat(w http.ResponseWriter, out *http.Request, next caddyhttp.Handler, id translate.Identity) error {
	body, err := fetch(w, out, next)
	if body == nil || err != nil {
		return err
	}
	completion, summary, err := translate.Completion(body, id)
	note(out, summary)
	if err != nil {
		return incomplete(out, err)
	}
	return writeJSON(w, completion)
}

// serveModels serves GET /v1/models.
func (h *Handler) serveModels(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	out := upstreamRequest(r, http.MethodGet, "/api/tags", nil)
	body, err := fetch(w, out, next)
	if body == nil || err != nil {
		return err
	}
	list, err := translate.Models(body)
	if err != nil {
		return incomplete(out, err)
	}
	return writeJSON(w, list)
}

// refused is the answer to a request that is wrong in itself.
func refused(err error) error { return caddyhttp.Error(http.StatusBadRequest, err) }

// incomplete is the answer when the upstream's own cannot be used.
func incomplete(r *http.Request, err error) error {
	record.From(r.Context()).Explain(record.UpstreamError)
	status, fault := translate.AnswerFault(err)
	return caddyhttp.Error(status, fault)
}

// upstreamFault is the answer when the upstream refused or failed.
func upstreamFault(r *http.Request, status int, body []byte) error {
	status, fault := translate.UpstreamFault(status, body)
	rec := record.From(r.Context())
	switch {
	case fault.Code == openai.CodeModelNotFound:
		rec.Explain(record.ModelNotFound)
	case fault.Code == openai.CodeContextLength:
		rec.Explain(record.ContextLengthExceeded)
	case status >= 500:
		rec.Explain(record.UpstreamError)
	}
	return caddyhttp.Error(status, fault)
}

// note puts what an answer came to into the audit record.
func note(r *http.Request, s translate.Summary) {
	rec := record.From(r.Context())
	rec.ResponseModel = s.Model
	if s.FinishReason != "" {
		rec.FinishReasons = []string{s.FinishReason}
	}
	if s.Counted || s.CompletionTokens > 0 {
		rec.Usage = &record.Usage{
			InputTokens:  s.PromptTokens,
			OutputTokens: s.CompletionTokens,
			Estimated:    !s.Counted,
		}
	}
}

func writeJSON(w http.ResponseWriter, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, errors.New("encoding the answer failed"))
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(data)
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
