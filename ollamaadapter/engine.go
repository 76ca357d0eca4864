package ollamaadapter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// engine reports whether the upstream speaks OpenAI's dialect itself.
func (h *Handler) engine() bool { return h.Upstream == "openai" }

// provider is what the audit record calls the upstream. `openai` would say that the
// prompts have left the house.
func (h *Handler) provider() string {
	if h.engine() {
		return "openai_compatible"
	}
	return "ollama"
}

// upstreamHost is the Host of requests to the upstream; empty for its address. On a
// loopback address Ollama answers 403 to any that is not local (ollama#3269). Whatever
// it is, reverse_proxy's `header_up Host` can set another.
func (h *Handler) upstreamHost() string {
	if h.engine() {
		return ""
	}
	return "localhost"
}

// checkUpstream checks that nothing is asked that this kind of upstream cannot do.
func (h *Handler) checkUpstream() error {
	switch h.Upstream {
	case "ollama":
		return nil
	case "openai":
	default:
		return fmt.Errorf("upstream %q: it must be ollama or openai", h.Upstream)
	}
	switch {
	case h.Native:
		return errors.New("native on: only an upstream ollama has a native API; take it out")
	case h.ContextOverflow == "truncate":
		return errors.New("context_overflow truncate: only an upstream ollama can do that; take it out")
	case h.KeepAlive != nil:
		return errors.New("keep_alive: only an upstream ollama loads and unloads models; take it out")
	}
	if err := checkEngineDefaults(h.Defaults); err != nil {
		return err
	}
	for _, m := range h.PerModel {
		if m.KeepAlive != nil {
			return fmt.Errorf("model %s: keep_alive: only an upstream ollama loads and unloads models; take it out", m.Glob)
		}
		if err := checkEngineDefaults(m.Defaults); err != nil {
			return fmt.Errorf("model %s: %w", m.Glob, err)
		}
	}
	return nil
}

func checkEngineDefaults(defaults map[string]any) error {
	if names := translate.LoadTime(defaults); len(names) > 0 {
		slices.Sort(names)
		return fmt.Errorf("defaults: %s: with upstream openai a model is loaded as its server was started; set this there",
			strings.Join(names, ", "))
	}
	return nil
}
