package translate

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Native is a request in Ollama's own dialect: to /api/chat, /api/generate,
// /api/embed or /api/show. What the server's rules do not speak of goes through as
// it came.
type Native struct {
	Model  string
	Stream bool // Ollama's default is true
	// Messages are those of a chat, for what is to be known of them.
	Messages []openai.Message

	options map[string]any
	keep    openai.KeepAlive
	body    object
	tools   int
	asks    bool // for more than that the model be loaded or unloaded
}

// DecodeNative reads the body of a native request. Its error is an *openai.Error.
func DecodeNative(body []byte) (*Native, error) {
	known, err := decode[struct {
		Model    string                    `json:"model"`
		Name     string                    `json:"name"` // of /api/show, before there was model
		Stream   *bool                     `json:"stream"`
		Messages openai.Messages           `json:"messages"`
		Prompt   string                    `json:"prompt"`
		Input    jsontext.Value            `json:"input"`
		Tools    []jsontext.Value          `json:"tools"`
		Options  map[string]jsontext.Value `json:"options"`
		Keep     openai.KeepAlive          `json:"keep_alive"`
	}](body)
	if err != nil {
		return nil, err
	}
	decoded, err := decodeOrdered(body)
	whole, ok := decoded.(object)
	if err != nil || !ok {
		return nil, noObject()
	}
	options := make(map[string]any)
	for name, value := range known.Options {
		parsed, err := nativeOption(name, value)
		if err != nil {
			return nil, err
		}
		if parsed != nil {
			options[name] = parsed
		}
	}
	return &Native{
		Model:    cmp.Or(known.Model, known.Name),
		Stream:   known.Stream == nil || *known.Stream,
		Messages: known.Messages,
		options:  options,
		keep:     known.Keep,
		body:     whole,
		tools:    len(known.Tools),
		asks:     len(known.Messages) > 0 || known.Prompt != "" || len(known.Input) > 0,
	}, nil
}

// Exchange puts the server's rules into a request to one of Ollama's paths that make
// a model work.
func (n *Native) Exchange(path string, settings Settings) (*Exchange, error) {
	options := settings.Rules.Options(n.options)
	encoded, err := json.Marshal(options, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	if string(encoded) != "{}" {
		n.body.set("options", jsontext.Value(encoded))
	}
	keep := settings.Rules.KeepAliveFor(n.keep.Seconds)
	if keep != nil {
		encoded, err := json.Marshal(*keep)
		if err != nil {
			return nil, err
		}
		n.body.set("keep_alive", jsontext.Value(encoded))
	}
	if settings.Features.Truncate && !settings.CutOverflow {
		n.body.set("truncate", jsontext.Value("false"))
	}
	exchange := &Exchange{
		Path:      path,
		Model:     settings.Model,
		Answer:    AnswerForm{Choices: 1, Text: path == "/api/generate", MaxTokens: maxTokens(options)},
		KeepAlive: keep,
	}
	if path != "/api/embed" {
		n.body.set("stream", jsontext.Value(strconv.FormatBool(n.tools == 0 || settings.Features.ToolStreams)))
	}
	if n.asks {
		exchange.Load = loadRequest(path, settings, options)
	}
	exchange.Requests = []any{n.Named(settings.Model)}
	return exchange, nil
}

// Named is the request for the upstream's name of the model, as it is otherwise.
func (n *Native) Named(model string) jsontext.Value {
	n.body.remove("name")
	n.body.set("model", model)
	return encodeOrdered(n.body)
}

// NativeModels makes of an answer of /api/tags or /api/ps the one for clients:
// without the models that are not visible, and with the aliases of those that are
// there.
func NativeModels(body []byte, visible func(ollama.Tag) bool, aliases func(ollama.Tag) []string) (jsontext.Value, error) {
	var tags ollama.Tags
	decoded, err := decodeOrdered(body)
	answer, ok := decoded.(object)
	if err != nil || !ok || json.Unmarshal(body, &tags, tolerant) != nil {
		return nil, ErrGarbage
	}
	value, _ := answer.get("models")
	models, _ := value.([]any)
	left := []any{}
	for i, model := range models {
		model, ok := model.(object)
		if !ok || i >= len(tags.Models) {
			return nil, ErrGarbage
		}
		if visible(tags.Models[i]) {
			left = append(left, model)
		}
		for _, alias := range aliases(tags.Models[i]) {
			named := slices.Clone(model)
			named.set("name", alias)
			named.set("model", alias)
			left = append(left, named)
		}
	}
	answer.set("models", left)
	return encodeOrdered(answer), nil
}
