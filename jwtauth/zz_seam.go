package jwtauth

import (
	"net/http"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// SEAM until main has them.
type Secret struct {
	Value     string `json:"value"`
	Algorithm string `json:"algorithm,omitempty"`
}

func (h *Handler) verify(r *http.Request, compact string) (token.Claims, error) {
	return h.verifier.Verify(r.Context(), compact, h.now())
}
