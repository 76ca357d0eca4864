package translate

import (
	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// engineVectors reads an engine's list of embeddings as Ollama's. Vectors stand where
// their index says.
func engineVectors(body []byte) (*ollama.EmbedResponse, error) {
	var list struct {
		Model string `json:"model"`
		Data  []struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
		Usage engineUsage `json:"usage"`
	}
	if json.Unmarshal(body, &list, tolerant) != nil {
		return nil, ErrGarbage
	}
	resp := &ollama.EmbedResponse{
		Model: list.Model, PromptEvalCount: list.Usage.PromptTokens, Embeddings: make([][]float32, len(list.Data)),
	}
	for _, one := range list.Data {
		if one.Index < 0 || one.Index >= len(list.Data) || resp.Embeddings[one.Index] != nil || one.Embedding == nil {
			return nil, ErrGarbage
		}
		resp.Embeddings[one.Index] = one.Embedding
	}
	return resp, nil
}
