package translate

import (
	"strings"

	"github.com/go-json-experiment/json"

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

// think is Ollama's think for the effort that a client asks for: nothing, false,
// true or a level. Ollama's own `think` goes before reasoning.effort, and that
// before reasoning_effort.
//
// A model that cannot think gets none of it (true would be a 400; and in 0.12.4
// so was false). Where nobody knows, only false is sent: a model that can think
// does so by itself.
func think(req *openai.ChatRequest, settings Settings) (any, error) {
	effort, param := req.ReasoningEffort, "reasoning_effort"
	if req.Reasoning != nil && req.Reasoning.Effort != "" {
		effort, param = req.Reasoning.Effort, "reasoning.effort"
	}
	wanted := effort != ""
	level, known := efforts[effort]
	if isSet(req.Think) {
		var err error
		if wanted, level, err = nativeThink(req); err != nil {
			return nil, err
		}
	} else if wanted && !known {
		return nil, invalid(param, "must be none, minimal, low, medium, high, xhigh or max")
	}
	switch {
	case !wanted, !settings.Features.Think, settings.ThinksKnown && !settings.Thinks:
		return nil, nil
	case level == "":
		return false, nil
	case !settings.ThinksKnown:
		return nil, nil
	}
	return supportedLevel(level, settings.Model, settings.Features), nil
}

// nativeThink reads Ollama's own think: true, false or a level.
func nativeThink(req *openai.ChatRequest) (wanted bool, level string, err error) {
	switch string(req.Think) {
	case "false":
		return true, "", nil
	case "true":
		return true, "true", nil
	}
	var name string
	if json.Unmarshal(req.Think, &name) != nil {
		return false, "", wrongType("think")
	}
	level, known := efforts[name]
	if !known {
		return false, "", invalid("think", "must be true, false, low, medium, high or max")
	}
	return true, level, nil
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
