package ollamaadapter

import (
	"cmp"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// serveEmbeddings serves POST /v1/embeddings.
func (h *Handler) serveEmbeddings(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	h.modelCall(r, "embeddings")
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
	if err := translate.CheckEmbedding(req); err != nil {
		return refused(err)
	}
	upstream, err := h.reach(r, next, asked, model)
	if err != nil {
		return err
	}
	exchange := translate.EmbedRequest(req, h.settings(upstream))
	return h.exchange(w, r, next, exchange, translate.NewObject(func(body []byte) ([]byte, translate.Summary, error) {
		list, summary, err := exchange.Embeddings(body, req, asked)
		if err != nil {
			return nil, summary, err
		}
		out, err := json.Marshal(list, jsontext.AllowInvalidUTF8(true))
		return out, summary, err
	}), formJSON)
}
