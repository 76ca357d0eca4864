package translate

import (
	"strings"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/catalog"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Model is a model as OpenAI lists it, under the name that clients use for it.
// Ollama's own list tells nothing of context and capabilities.
func Model(name string, m catalog.Model) openai.Model {
	var created int64
	if !m.ModifiedAt.IsZero() {
		created = m.ModifiedAt.Unix()
	}
	return openai.Model{
		ID: name, Object: "model", Created: created, OwnedBy: owner(m.Name),
		ContextLength: m.ContextLength, Capabilities: m.Capabilities,
	}
}

// owner is the namespace of a model's name, [host/][namespace/]model[:tag]; `library`
// if it has none.
func owner(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) == 1 {
		return "library"
	}
	return parts[len(parts)-2]
}
