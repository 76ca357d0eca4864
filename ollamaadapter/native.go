package ollamaadapter

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/permit"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// nativeEndpoint finds what serves a request in Ollama's own dialect. There is no
// way here to pull, push, create, copy or delete, whatever the configuration.
func (h *Handler) nativeEndpoint(path string) (method string, serve serveFunc) {
	if !h.Native {
		return "", nil
	}
	switch path {
	case "/api/chat":
		return http.MethodPost, h.serveNative("chat")
	case "/api/generate":
		return http.MethodPost, h.serveNative("text_completion")
	case "/api/embed":
		return http.MethodPost, h.serveNativeEmbed
	case "/api/show":
		return http.MethodPost, h.serveNativeShow
	case "/api/tags", "/api/ps":
		return http.MethodGet, h.serveNativeModels
	case "/api/version":
		return http.MethodGet, h.serveNativeVersion
	}
	return "", nil
}

// serveNative serves POST /api/chat and POST /api/generate.
func (h *Handler) serveNative(operation string) serveFunc {
	return func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
		native, u, err := h.decodeNative(w, r, next, operation)
		if err != nil {
			return err
		}
		rec := record.From(r.Context())
		rec.Stream = native.Stream
		rec.Show()
		h.nameConversation(w, r, &openai.ChatRequest{Messages: native.Messages})
		exchange, err := native.Exchange(r.URL.Path, h.settings(u))
		if err != nil {
			return refused(err)
		}
		id := translate.Identity{Model: u.name, Created: time.Now().Unix()}
		if native.Stream {
			return h.exchange(w, r, next, exchange, translate.NewNativeStream(id, exchange.Answer), formLines)
		}
		return h.exchange(w, r, next, exchange, translate.NewNativeWhole(id, exchange.Answer), formJSON)
	}
}

// serveNativeEmbed serves POST /api/embed.
func (h *Handler) serveNativeEmbed(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	native, u, err := h.decodeNative(w, r, next, "embeddings")
	if err != nil {
		return err
	}
	settings := h.settings(u)
	settings.Rules.Defaults, settings.Rules.Limits = policy.LoadOptions(settings.Rules.Defaults), nil
	exchange, err := native.Exchange("/api/embed", settings)
	if err != nil {
		return refused(err)
	}
	return h.exchange(w, r, next, exchange, translate.NewObject(func(body []byte) ([]byte, translate.Summary, error) {
		var resp ollama.EmbedResponse
		if json.Unmarshal(body, &resp) != nil || resp.Error != "" {
			return nil, translate.Summary{}, translate.ErrGarbage
		}
		return body, translate.Summary{Model: resp.Model, PromptTokens: resp.PromptEvalCount, Counted: true, Loading: resp.LoadDuration}, nil
	}), formJSON)
}

// serveNativeShow serves POST /api/show.
func (h *Handler) serveNativeShow(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	native, u, err := h.decodeNative(w, r, next, "")
	if err != nil {
		return err
	}
	answer, gone, err := h.fetch(w, h.question(r, http.MethodPost, "/api/show", native.Named(u.name)), next)
	if gone || err != nil {
		return err
	}
	return writeRaw(w, answer)
}

// serveNativeModels serves GET /api/tags and GET /api/ps, of the visible models.
func (h *Handler) serveNativeModels(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	answer, gone, err := h.fetch(w, h.question(r, http.MethodGet, r.URL.Path), next)
	if gone || err != nil {
		return err
	}
	only := permit.Models(r.Context())
	left, err := translate.NativeModels(answer, func(tag ollama.Tag) bool {
		return h.policy.Visible(tag.Name, tag.RemoteHost != "") && policy.Permits(only, tag.Name)
	}, func(tag ollama.Tag) []string { return h.aliasesOf(tag, only) })
	if err != nil {
		return incomplete(r, addressOf(r.Context()), err)
	}
	return writeRaw(w, left)
}

// aliasesOf are the names of a model besides its own, as far as they are permitted.
func (h *Handler) aliasesOf(tag ollama.Tag, only []string) (aliases []string) {
	for alias, real := range h.Aliases {
		if policy.Permits(only, alias) && policy.Canonical(real) == policy.Canonical(tag.Name) {
			aliases = append(aliases, alias)
		}
	}
	slices.Sort(aliases)
	return aliases
}

// serveNativeVersion serves GET /api/version.
func (h *Handler) serveNativeVersion(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	answer, gone, err := h.fetch(w, h.question(r, http.MethodGet, "/api/version"), next)
	if gone || err != nil {
		return err
	}
	return writeRaw(w, answer)
}

// decodeNative reads a native request and finds its model.
func (h *Handler) decodeNative(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, operation string) (*translate.Native, upstream, error) {
	h.modelCall(r, operation)
	body, err := h.readBody(w, r)
	if err != nil {
		return nil, upstream{}, err
	}
	native, err := translate.DecodeNative(body)
	if err != nil {
		return nil, upstream{}, refused(err)
	}
	u, err := h.resolve(r, next, cmp.Or(native.Model, h.DefaultModel))
	return native, u, err
}

// writeRaw sends JSON as the upstream has it.
func writeRaw(w http.ResponseWriter, data []byte) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(data)
	return err
}
