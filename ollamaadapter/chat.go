package ollamaadapter

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

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
	asked := cmp.Or(req.Model, h.DefaultModel)
	upstream, err := h.resolve(r, next, asked)
	if err != nil {
		return err
	}
	chat, err := translate.ChatRequest(req, h.settings(upstream))
	if err != nil {
		return refused(err)
	}
	id := translate.Identity{
		ID: translate.NewID("chatcmpl-"), Created: time.Now().Unix(), Model: asked, Fingerprint: upstream.fingerprint(),
	}
	if req.Stream {
		return streamChat(w, r, next, chat, translate.NewStream(id, chat.Answer))
	}
	return completeChat(w, r, next, chat, translate.NewWhole(id, chat.Answer))
}

// resolve finds the model that a client means by a name, if it may have it.
func (h *Handler) resolve(r *http.Request, next caddyhttp.Handler, asked string) (upstream, error) {
	if asked == "" {
		return upstream{}, refused(&openai.Error{
			Message: "missing", Type: openai.TypeInvalidRequest, Param: "model", Code: openai.CodeMissing,
		})
	}
	record.From(r.Context()).RequestModel = asked[:min(len(asked), 256)]
	model, allowed := h.policy.Resolve(asked, nil)
	if !allowed {
		return upstream{}, modelNotFound(r)
	}
	u := h.upstream(r, next, model)
	if u.model.RemoteHost != "" && !h.policy.MayLeave(asked, model) {
		return upstream{}, modelNotFound(r)
	}
	return u, nil
}

// settings is what server and upstream say of a chat.
func (h *Handler) settings(u upstream) translate.Settings {
	thinks, known := u.model.Can("thinking")
	return translate.Settings{
		Model:       u.name,
		MergeSystem: h.SystemRole == "merge",
		Rules:       h.policy.For(u.name),
		CutOverflow: h.ContextOverflow == "truncate",
		Reasoning:   reasoningFields[h.Reasoning],
		Features:    u.features,
		Thinks:      thinks,
		ThinksKnown: known,
	}
}

// completeChat fetches an answer and sends it whole. Each choice is a request of
// its own, because Ollama gives one answer at a time.
func completeChat(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, chat *translate.Chat, whole *translate.Whole) error {
	for choice := range chat.Answer.Choices {
		out, err := chatRequest(r, chat, choice)
		if err != nil {
			return err
		}
		body, gone, err := fetch(w, out, next)
		if gone || err != nil {
			note(r, whole.Summary())
			return err
		}
		err = whole.Add(body)
		note(r, whole.Summary())
		if err != nil {
			return incomplete(r, err)
		}
	}
	return writeJSON(w, whole.Completion())
}

// chatRequest is the request to Ollama for one choice. Choices with one seed would
// be one choice several times.
func chatRequest(r *http.Request, chat *translate.Chat, choice int) (*http.Request, error) {
	if seed, ok := chat.Native.Options["seed"].(int64); ok && choice > 0 {
		chat.Native.Options["seed"] = seed + 1
	}
	return upstreamJSON(r, "/api/chat", chat.Native)
}

// upstreamJSON is a POST to the upstream.
func upstreamJSON(r *http.Request, path string, body any) (*http.Request, error) {
	data, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return nil, caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("encoding the request for Ollama: %w", err))
	}
	return upstreamRequest(r, http.MethodPost, path, data), nil
}
