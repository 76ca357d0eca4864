package translate

import (
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// Load makes Ollama load a model, and nothing else.
type Load struct {
	// Key is the same for all loads that are one to Ollama, by whatever name or path
	// the model is asked for.
	Key string

	path, model string
	options     string // JSON; empty: none
	keepAlive   *float64
}

// loadRequest loads a model with these options, by asking it for nothing. The model of
// a request that leaves the server has nowhere to be loaded; then it is nil.
func loadRequest(path string, settings Settings, options map[string]any) *Load {
	if settings.Remote {
		return nil
	}
	var room [256]byte
	key := append(room[:0], policy.Canonical(settings.Model)...)
	name := len(key)
	key = appendLoadOptions(key, options)
	load := &Load{Key: string(key), path: path, model: settings.Model, keepAlive: settings.Rules.KeepAlive}
	load.options = load.Key[name:]
	return load
}

// Body is that of the request, which goes to the path of the exchange.
func (l *Load) Body() []byte {
	body := appendText([]byte(`{"model":`), l.model)
	body = append(body, `,"stream":false`...)
	switch l.path {
	case "/api/chat":
		body = append(body, `,"messages":[]`...)
	case "/api/generate":
		body = append(body, `,"prompt":""`...)
	case "/api/embed":
		body = append(body, `,"input":[]`...)
	}
	if l.options != "" {
		body = append(append(body, `,"options":`...), l.options...)
	}
	// a keep_alive of 0 would not load but unload
	if keep := l.keepAlive; keep != nil && *keep != 0 {
		body = appendNumber(append(body, `,"keep_alive":`...), *keep)
	}
	return append(body, '}')
}

// appendLoadOptions writes those among options that a model is loaded with, if there
// are any.
func appendLoadOptions(data []byte, options map[string]any) []byte {
	before := byte('{')
	for _, name := range policy.LoadTime {
		if value, ok := options[name]; ok {
			data = appendText(append(data, before), name)
			data = appendValue(append(data, ':'), value)
			before = ','
		}
	}
	if before == '{' {
		return data
	}
	return append(data, '}')
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
