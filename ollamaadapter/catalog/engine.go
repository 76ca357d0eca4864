package catalog

import (
	"cmp"
	"context"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// engineModels asks a server of OpenAI's dialect for its models. How long their context
// is has no field of OpenAI's: vLLM, llama.cpp and our own gateway each have their own.
func engineModels(ctx context.Context, ask Ask) ([]ollama.Tag, error) {
	var list struct {
		Data []struct {
			ID      string `json:"id"`
			Created int64  `json:"created"`
			VLLM    int    `json:"max_model_len"`
			Gateway int    `json:"context_length"`
			Meta    struct {
				Context int `json:"n_ctx"`
				Trained int `json:"n_ctx_train"`
			} `json:"meta"`
		} `json:"data"`
	}
	if err := get(ctx, ask, "/v1/models", &list); err != nil {
		return nil, err
	}
	models := []ollama.Tag{}
	for _, m := range list.Data {
		tag := ollama.Tag{Name: m.ID, Model: m.ID, ContextLength: cmp.Or(m.VLLM, m.Gateway, m.Meta.Context, m.Meta.Trained)}
		if m.Created > 0 {
			tag.ModifiedAt = time.Unix(m.Created, 0)
		}
		models = append(models, tag)
	}
	return models, nil
}
