package translate

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// Load makes Ollama load a model, and nothing else.
type Load struct {
	// Key is the same for all loads that are one to Ollama, by whatever name or path
	// the model is asked for.
	Key string
	// Body of the request, which goes to the path of the exchange.
	Body jsontext.Value
}

// loadRequest loads a model with these options, by asking it for nothing. The model of
// a request that leaves the server has nowhere to be loaded; then it is nil.
func loadRequest(path string, settings Settings, options map[string]any) *Load {
	if settings.Remote {
		return nil
	}
	request := object{{"model", settings.Model}, {"stream", jsontext.Value("false")}}
	switch path {
	case "/api/chat":
		request = append(request, member{"messages", []any{}})
	case "/api/generate":
		request = append(request, member{"prompt", ""})
	case "/api/embed":
		request = append(request, member{"input", []any{}})
	}
	key := policy.Canonical(settings.Model)
	if options = policy.LoadOptions(options); len(options) > 0 {
		encoded, err := json.Marshal(options, json.Deterministic(true))
		if err != nil {
			return nil // no request with such options will get any further
		}
		request = append(request, member{"options", jsontext.Value(encoded)})
		key += string(encoded)
	}
	// a keep_alive of 0 would not load but unload
	if keep := settings.Rules.KeepAlive; keep != nil && *keep != 0 {
		encoded, err := json.Marshal(*keep)
		if err != nil {
			return nil
		}
		request = append(request, member{"keep_alive", jsontext.Value(encoded)})
	}
	return &Load{Key: key, Body: encodeOrdered(request)}
}

// maxTokens are the tokens that a choice may have by its options; 0: any number.
func maxTokens(options map[string]any) int {
	switch n := options["num_predict"].(type) {
	case int64:
		return max(0, int(n))
	case float64: // the server's, out of Caddy's JSON
		return max(0, int(n))
	}
	return 0
}
