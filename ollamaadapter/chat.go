package ollamaadapter

import (
	"cmp"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/permit"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// serveChat serves POST /v1/chat/completions.
func (h *Handler) serveChat(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	rec := h.modelCall(r, "chat")
	body, err := h.readBody(w, r)
	if err != nil {
		return err
	}
	req, err := translate.DecodeChat(body)
	if err != nil {
		return refused(err)
	}
	rec.Stream = req.Stream
	h.nameConversation(w, r, req)
	return h.serveDraft(w, r, next, answerWanted{req.Model, req.Stream, "chatcmpl-"}, func() (draft, error) { return translate.DraftChat(req) })
}

// serveText serves POST /v1/completions.
func (h *Handler) serveText(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	rec := h.modelCall(r, "text_completion")
	body, err := h.readBody(w, r)
	if err != nil {
		return err
	}
	req, err := translate.DecodeText(body)
	if err != nil {
		return refused(err)
	}
	rec.Stream = req.Stream
	return h.serveDraft(w, r, next, answerWanted{req.Model, req.Stream, "cmpl-"}, func() (draft, error) { return translate.DraftText(req) })
}

// answerWanted is what a request for text says of its answer, whatever the endpoint.
type answerWanted struct {
	model    string // may be empty
	streamed bool
	idPrefix string
}

// draft is a request that is sound, whatever the upstream.
type draft interface {
	For(translate.Settings) (*translate.Exchange, error)
}

// serveDraft answers a request for text. What is wrong with it is told before the
// upstream is asked anything.
func (h *Handler) serveDraft(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, wanted answerWanted, check func() (draft, error)) error {
	asked := cmp.Or(wanted.model, h.DefaultModel)
	model, err := h.permitted(r, asked)
	if err != nil {
		return err
	}
	draft, err := check()
	if err != nil {
		return refused(err)
	}
	upstream, err := h.reach(r, next, asked, model)
	if err != nil {
		return err
	}
	exchange, err := draft.For(h.settings(upstream))
	if err != nil {
		return refused(err)
	}
	id := upstream.identity(wanted.idPrefix, asked)
	if wanted.streamed {
		return h.exchange(w, r, next, exchange, translate.NewStream(id, exchange.Answer), formEvents)
	}
	return h.exchange(w, r, next, exchange, translate.NewWhole(id, exchange.Answer), formJSON)
}

// resolve finds the model that a client means by a name, if it may have it.
func (h *Handler) resolve(r *http.Request, next caddyhttp.Handler, asked string) (upstream, error) {
	model, err := h.permitted(r, asked)
	if err != nil {
		return upstream{}, err
	}
	return h.reach(r, next, asked, model)
}

// permitted finds the model as far as the configuration says, without a question to
// the upstream.
func (h *Handler) permitted(r *http.Request, asked string) (model string, err error) {
	if asked == "" {
		return "", refused(openai.FieldError("model", openai.CodeMissing, "missing"))
	}
	rec := record.From(r.Context())
	rec.RequestModel = asked[:min(len(asked), 256)]
	rec.Show()
	model, allowed := h.policy.Resolve(asked, permit.Models(r.Context()))
	if !allowed {
		return "", modelNotFound(r)
	}
	rec.Model = model
	caddyhttp.SetVar(r.Context(), varModel, model)
	return model, nil
}

// reach asks the upstream about a permitted model, and refuses one that turns out to
// run elsewhere.
func (h *Handler) reach(r *http.Request, next caddyhttp.Handler, asked, model string) (upstream, error) {
	if h.engine() {
		return upstream{name: model}, nil // it tells nothing that the request depends on
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
		Engine:      h.engine(),
		CutOverflow: h.ContextOverflow == "truncate",
		Reasoning:   reasoningFields[h.Reasoning],
		Version:     u.server.Version,
		Features:    u.server.Features,
		Remote:      u.remote(),
		Thinks:      thinks,
		ThinksKnown: known,
		TextOnly:    u.textOnly(),
	}
}
