package ollamagateway

import (
	"context"
	"slices"
	"strings"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// getAModel is what to do where there is none.
const getAModel = "get one with `ollama pull qwen3:0.6b`"

// chooseModel is the model for requests that name none: the one that the user has
// named, or else the first that can answer a chat. lack says why there is none or why
// it will not answer, and what to do; it is empty if all is well.
func chooseModel(ctx context.Context, address, named string) (model, lack string) {
	var tags ollama.Tags
	if err := ask(ctx, address, "/api/tags", nil, &tags); err != nil {
		return named, "Ollama does not tell which models it has; see its log"
	}
	if named != "" {
		return named, lackOf(ctx, address, tags.Models, named)
	}
	for _, tag := range tags.Models {
		if !elsewhere(tag) && completes(ctx, address, tag.Name) {
			return tag.Name, ""
		}
	}
	if len(tags.Models) == 0 {
		return "", "Ollama has no model, " + getAModel
	}
	return "", "Ollama has none that can answer a chat here, " + getAModel
}

// lackOf is why the model that the user has named will not answer; empty if it will.
func lackOf(ctx context.Context, address string, tags []ollama.Tag, named string) string {
	i := slices.IndexFunc(tags, func(t ollama.Tag) bool { return policy.Canonical(t.Name) == policy.Canonical(named) })
	switch {
	case policy.IsCloud(named) || i >= 0 && elsewhere(tags[i]):
		return "it is in Ollama's cloud, and only a configuration of your own lets requests go there"
	case i < 0:
		return "Ollama does not have it, get it with `ollama pull " + shellWord(named) + "`"
	case !completes(ctx, address, named):
		return "it cannot answer a chat, only embed"
	}
	return ""
}

// elsewhere reports whether a model is in Ollama's cloud, where requests do not go
// unless the configuration names it.
func elsewhere(tag ollama.Tag) bool { return tag.RemoteHost != "" || policy.IsCloud(tag.Name) }

// completes reports whether a model can answer a chat, or may be able to for all that
// Ollama tells.
func completes(ctx context.Context, address, model string) bool {
	var show ollama.Show
	if err := ask(ctx, address, "/api/show", ollama.ShowRequest{Model: model}, &show); err != nil {
		return true
	}
	if len(show.Capabilities) > 0 {
		return slices.Contains(show.Capabilities, "completion")
	}
	// before 0.6.4; Ollama itself tells those that only embed by this
	for name := range show.ModelInfo {
		if strings.HasSuffix(name, ".pooling_type") {
			return false
		}
	}
	return true
}
