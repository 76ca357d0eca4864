package ollamaadapter

import (
	"fmt"
	"strings"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// checkDefaultModel refuses a default_model that no client may have: each request that
// names no model would be a 404.
func (h *Handler) checkDefaultModel() error {
	name := h.DefaultModel
	if _, allowed := h.policy.Resolve(name, nil); name == "" || allowed {
		return nil
	}
	switch {
	case !policy.PlainName(name):
		return fmt.Errorf("default_model %q: no model can have this name; give one as Ollama lists it, such as qwen3:32b", name)
	case policy.IsCloud(name):
		return fmt.Errorf("default_model %s: it runs in Ollama's cloud; list it under models, if prompts may leave for there", name)
	default:
		return fmt.Errorf("default_model %s: models %s does not list it, so clients may not have it; list it there, or name another",
			name, strings.Join(h.Models, " "))
	}
}
