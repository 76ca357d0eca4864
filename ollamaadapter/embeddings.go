package ollamaadapter

import (
	"cmp"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// serveEmbeddings serves POST /v1/embeddings.
func (h *Handler) serveEmbeddings(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	record.From(r.Context()).Operation = "embeddings"
	body, err := h.readBody(w, r)
	if err != nil {
		return err
	}
	req, err := translate.DecodeEmbedding(body)
	if err != nil {
		return refused(err)
	}
	asked := cmp.Or(req.Model, h.DefaultModel)
	model, err := h.permitted(r, asked)
	if err != nil {
		return err
	}
	native, err := translate.EmbedRequest(req)
	if err != nil {
		return refused(err)
	}
	upstream, err := h.reach(r, next, asked, model)
	if err != nil {
		return err
	}
	rules := h.policy.For(upstream.name)
	native.Model = upstream.name
	native.Options = rules.LoadOptions()
	native.KeepAlive = rules.KeepAliveFor(req.KeepAlive.Seconds)
	out, err := upstreamJSON(r, "/api/embed", native)
	if err != nil {
		return err
	}
	answer, gone, err := fetch(w, out, next)
	if gone || err != nil {
		return err
	}
	list, summary, err := translate.Embeddings(answer, req, asked)
	note(r, summary)
	if err != nil {
		return incomplete(r, err)
	}
	return writeJSON(w, list)
}
