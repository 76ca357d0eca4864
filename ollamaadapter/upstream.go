package ollamaadapter

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/catalog"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// upstream is what is known of the Ollama behind, for one model.
type upstream struct {
	name   string // of the model, as the upstream has it
	server catalog.Server
	model  catalog.Model
}

// upstream asks the catalogue, and that the upstream if it must.
func (h *Handler) upstream(r *http.Request, next caddyhttp.Handler, model string) upstream {
	ask := h.asking(r, next)
	return upstream{
		name: model, server: h.catalog.Server(r.Context(), ask), model: h.catalog.Model(r.Context(), ask, model),
	}
}

// remote reports whether the model runs elsewhere.
func (u upstream) remote() bool { return u.model.RemoteHost != "" || policy.IsCloud(u.name) }

// textOnly reports whether the model is known to see no images. A model that cannot even
// write is one whose file Ollama could not read; of one that runs elsewhere it has none.
func (u upstream) textOnly() bool {
	sees, known := u.model.Can("vision")
	writes, _ := u.model.Can("completion")
	return known && writes && !sees && u.server.Features.TellsVision && !u.remote()
}

// identity is what all parts of one answer have in common.
func (u upstream) identity(prefix, asked string) translate.Identity {
	return translate.Identity{
		ID: translate.NewID(prefix), Created: time.Now().Unix(), Model: asked, Fingerprint: u.model.Fingerprint,
	}
}

// asking puts the catalogue's questions to the upstream, by way of the same handler as every
// request. That the catalogue waits no longer for an answer is nothing to leave out an
// upstream for, which may be loading a model: one that is gone cannot be dialled, and one
// that is stuck fails the requests themselves.
func (h *Handler) asking(r *http.Request, next caddyhttp.Handler) catalog.Ask {
	return func(ctx context.Context, method, path string, body []byte) ([]byte, error) {
		r, done := withPlainCause(r.WithContext(ctx))
		defer done()
		answer := newUpstreamAnswer()
		answer.receive(next, h.question(r, method, path, body))
		if answer.err == nil && (answer.cut || answer.status != http.StatusOK) {
			return nil, observed(errors.New("the upstream did not answer "+path), answer.seen()...)
		}
		return answer.body.Bytes(), answer.err
	}
}
