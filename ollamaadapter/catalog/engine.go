package catalog

import (
	"cmp"
	"context"
	"regexp"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// engineModels asks a server of OpenAI's dialect for its models. How long their context
// is has no field of OpenAI's: vLLM, llama.cpp and our own gateway each have their own.
// Nor has what a model can do: what others than our gateway have there may be anything.
func engineModels(ctx context.Context, ask Ask) ([]ollama.Tag, error) {
	var list struct {
		Data []struct {
			ID      string         `json:"id"`
			Created int64          `json:"created"`
			VLLM    int            `json:"max_model_len"`
			Gateway int            `json:"context_length"`
			Can     jsontext.Value `json:"capabilities"`
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
		tag := ollama.Tag{Name: m.ID, Model: m.ID, ContextLength: cmp.Or(m.VLLM, m.Gateway, m.Meta.Context, m.Meta.Trained), Capabilities: capabilities(m.Can)}
		if m.Created > 0 {
			tag.ModifiedAt = time.Unix(m.Created, 0)
		}
		models = append(models, tag)
	}
	return models, nil
}

// mostCapabilities bounds what is remembered of one model.
const mostCapabilities = 32

// capability is a word such as completion or tools.
var capability = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// capabilities are the words in a list.
func capabilities(told jsontext.Value) (words []string) {
	var list []jsontext.Value
	if told.Kind() != '[' || json.Unmarshal(told, &list, tolerant) != nil {
		return nil
	}
	for _, one := range list {
		var word string
		if json.Unmarshal(one, &word) == nil && capability.MatchString(word) && len(words) < mostCapabilities {
			words = append(words, word)
		}
	}
	return words
}
