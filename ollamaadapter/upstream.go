package ollamaadapter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/catalog"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// upstream is what is known of the Ollama behind, for one model.
type upstream struct {
	name     string // of the model, as the upstream has it
	version  string // empty if not told
	features ollama.Features
	model    catalog.Model
}

// upstream asks the catalogue, and that the upstream if it must.
func (h *Handler) upstream(r *http.Request, next caddyhttp.Handler, model string) upstream {
	ask := h.asking(r, next)
	version := h.catalog.Version(r.Context(), ask)
	return upstream{
		name: model, version: version, features: ollama.FeaturesOf(version),
		model: h.catalog.Model(r.Context(), ask, model),
	}
}

// identity is what all parts of one answer have in common.
func (u upstream) identity(prefix, asked string) translate.Identity {
	return translate.Identity{
		ID: translate.NewID(prefix), Created: time.Now().Unix(), Model: asked, Fingerprint: u.fingerprint(),
	}
}

// fingerprint changes when the model or the server changes, as OpenAI's does.
func (u upstream) fingerprint() string {
	if u.model.Digest == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(u.model.Digest + " " + u.version))
	return "fp_" + hex.EncodeToString(sum[:5])
}

// asking puts the catalogue's questions to the upstream, by way of the same
// handler as every request.
func (h *Handler) asking(r *http.Request, next caddyhttp.Handler) catalog.Ask {
	return func(ctx context.Context, method, path string, body []byte) ([]byte, error) {
		answer := newUpstreamAnswer()
		answer.receive(next, h.question(r.WithContext(ctx), method, path, body))
		if answer.err == nil && (answer.cut || answer.status != http.StatusOK) {
			return nil, errors.New("the upstream did not answer " + path)
		}
		return answer.body.Bytes(), answer.err
	}
}
