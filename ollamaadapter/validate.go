package ollamaadapter

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// reasoningFields are the values of `reasoning`.
var reasoningFields = map[string]translate.ReasoningFields{
	"both":              translate.ReasoningBoth,
	"reasoning_content": translate.ReasoningContentOnly,
	"reasoning":         translate.ReasoningOnly,
	"hide":              translate.ReasoningHidden,
}

// Validate checks the options.
func (h *Handler) Validate() error {
	if err := h.checkUpstream(); err != nil {
		return err
	}
	if err := h.checkDefaultModel(); err != nil {
		return err
	}
	if h.SystemRole != "native" && h.SystemRole != "merge" {
		return fmt.Errorf("system_role %q: it must be native or merge", h.SystemRole)
	}
	if h.ContextOverflow != "error" && h.ContextOverflow != "truncate" {
		return fmt.Errorf("context_overflow %q: it must be error or truncate", h.ContextOverflow)
	}
	if _, known := reasoningFields[h.Reasoning]; !known {
		return fmt.Errorf("reasoning %q: it must be both, reasoning_content, reasoning or hide", h.Reasoning)
	}
	if h.MaxBody < 0 {
		return fmt.Errorf("max_body %d: it must be positive", h.MaxBody)
	}
	for name, duration := range map[string]caddy.Duration{
		"heartbeat": *h.Heartbeat, "first_byte_timeout": *h.FirstByteTimeout, "stall_timeout": *h.StallTimeout, "max_duration": h.MaxDuration,
	} {
		if d := time.Duration(duration); d != 0 && d < 10*time.Millisecond {
			return fmt.Errorf("%s %v: it must be at least 10ms, or 0 to switch it off", name, d)
		}
	}
	if err := checkOptions(h.Defaults, h.Limits); err != nil {
		return err
	}
	for _, m := range h.PerModel {
		if err := checkOptions(m.Defaults, m.Limits); err != nil {
			return fmt.Errorf("model %s: %w", m.Glob, err)
		}
	}
	return nil
}

func checkOptions(defaults map[string]any, limits map[string]float64) error {
	for name, value := range defaults {
		text, err := json.Marshal(value) // strings get quotes, which no option has
		if err != nil {
			return fmt.Errorf("defaults: %s: %w", name, err)
		}
		if _, err := ollama.ParseOption(name, string(text)); err != nil {
			return fmt.Errorf("defaults: %w", err)
		}
	}
	for name, limit := range limits {
		if _, err := ollama.ParseOption(name, "1"); err != nil {
			return fmt.Errorf("limits: %w", err)
		}
		if limit <= 0 {
			return fmt.Errorf("limits: %s %v must be positive", name, limit)
		}
	}
	return nil
}
