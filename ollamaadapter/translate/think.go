package translate

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// efforts maps OpenAI's reasoning efforts to Ollama's levels of thinking.
var efforts = map[string]string{
	"none":    "",
	"minimal": "low",
	"low":     "low",
	"medium":  "medium",
	"high":    "high",
	"xhigh":   "max",
	"ultra":   "max",
	"max":     "max",
}

// thinking is what a client asks for of a model's thinking.
type thinking struct {
	asked bool
	level string // empty: none; "true": some
}

// askedThinking reads it: Ollama's own `think` goes before reasoning.effort, and
// that before reasoning_effort.
func askedThinking(req *openai.ChatRequest) (thinking, error) {
	if isSet(req.Think) {
		return nativeThink(req.Think)
	}
	effort, param := req.ReasoningEffort, "reasoning_effort"
	if req.Reasoning != nil && req.Reasoning.Effort != "" {
		effort, param = req.Reasoning.Effort, "reasoning.effort"
	}
	if effort == "" {
		return thinking{}, nil
	}
	level, known := efforts[effort]
	if !known {
		return thinking{}, invalid(param, "must be none, minimal, low, medium, high, xhigh or max")
	}
	return thinking{asked: true, level: level}, nil
}

// nativeThink reads Ollama's own think: true, false or a level.
func nativeThink(raw jsontext.Value) (thinking, error) {
	switch string(raw) {
	case "false":
		return thinking{asked: true}, nil
	case "true":
		return thinking{asked: true, level: "true"}, nil
	}
	var name string
	if json.Unmarshal(raw, &name) != nil {
		return thinking{}, wrongType("think")
	}
	level, known := efforts[name]
	if !known {
		return thinking{}, invalid("think", "must be true, false, low, medium, high or max")
	}
	return thinking{asked: true, level: level}, nil
}

// on is Ollama's think for this upstream: nothing, false, true or a level.
//
// A model that cannot think gets none of it (true would be a 400; and in 0.12.4
// so was false). Where nobody knows, only false is sent: a model that can think
// does so by itself.
func (t thinking) on(settings Settings) any {
	switch {
	case !t.asked, !settings.Features.Think, settings.ThinksKnown && !settings.Thinks:
		return nil
	case t.level == "":
		return false
	case !settings.ThinksKnown:
		return nil
	}
	return supportedLevel(t.level, settings.Model, settings.Features)
}

// supportedLevel is the nearest that this model on this Ollama understands. Up to
// 0.17.6 only gpt-oss has levels, and it knows no max.
func supportedLevel(level, model string, features ollama.Features) any {
	leveled := features.ThinkLevels || strings.Contains(strings.ToLower(model), "gpt-oss")
	switch {
	case level == "true" || !leveled:
		return true
	case level == "max" && !features.ThinkMax:
		return "high"
	default:
		return level
	}
}
