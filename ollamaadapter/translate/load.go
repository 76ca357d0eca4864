package translate

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// loadRequest is the request that loads a model with these options: one that asks
// for nothing. The model of a request that leaves the server has nowhere to be loaded.
func loadRequest(path string, settings Settings, options map[string]any) jsontext.Value {
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
	if options = policy.LoadOptions(options); len(options) > 0 {
		encoded, err := json.Marshal(options, json.Deterministic(true))
		if err != nil {
			return nil // no request with such options will get any further
		}
		request = append(request, member{"options", jsontext.Value(encoded)})
	}
	// a keep_alive of 0 would not load but unload
	if keep := settings.Rules.KeepAlive; keep != nil && *keep != 0 {
		encoded, err := json.Marshal(*keep)
		if err != nil {
			return nil
		}
		request = append(request, member{"keep_alive", jsontext.Value(encoded)})
	}
	return encodeOrdered(request)
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
