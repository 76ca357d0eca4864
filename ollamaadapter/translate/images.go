package translate

import (
	"slices"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// hasImages reports whether there is an image in a conversation. Sound is none, though
// Ollama has it among the images.
func hasImages(conversation []openai.Message) bool {
	return slices.ContainsFunc(conversation, func(m openai.Message) bool {
		return slices.ContainsFunc(m.Content.Parts, func(p openai.Part) bool { return p.Type == "image_url" })
	})
}
