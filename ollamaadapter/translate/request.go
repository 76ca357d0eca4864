package translate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Settings is what the server's side says of a request.
type Settings struct {
	// DefaultModel is asked when the client names no model.
	DefaultModel string
	// MergeSystem folds system text into the first user message.
	MergeSystem bool
	// Defaults are Ollama options for what the client leaves open.
	Defaults map[string]any
}

// ChatRequest turns a decoded chat request into Ollama's. Its error is an
// *openai.Error that names the field at fault.
func ChatRequest(req *openai.ChatRequest, settings Settings) (*ollama.ChatRequest, error) {
	if err := checkSupported(req); err != nil {
		return nil, err
	}
	model := req.Model
	if model == "" {
		model = settings.DefaultModel
	}
	if model == "" {
		return nil, missing("model")
	}
	messages, err := messages(req.Messages)
	if err != nil {
		return nil, err
	}
	if settings.MergeSystem {
		messages = mergeSystem(messages)
	}
	options, err := options(req, settings.Defaults)
	if err != nil {
		return nil, err
	}
	tools, err := tools(req)
	if err != nil {
		return nil, err
	}
	format, err := format(req.ResponseFormat)
	if err != nil {
		return nil, err
	}
	think, err := think(req.ReasoningEffort)
	if err != nil {
		return nil, err
	}
	return &ollama.ChatRequest{
		Model:    model,
		Messages: messages,
		Stream:   req.Stream,
		Format:   format,
		Tools:    tools,
		Options:  options,
		Think:    think,
	}, nil
}

// checkSupported refuses what Ollama has no counterpart for. To ignore it would
// be to answer another question than the one asked.
func checkSupported(req *openai.ChatRequest) error {
	switch {
	case req.N != nil && *req.N != 1:
		return unsupported("n", "only one choice can be asked for")
	case isSet(req.LogitBias) && string(req.LogitBias) != "{}":
		return unsupported("logit_bias", "not supported by this server")
	case req.Logprobs:
		return unsupported("logprobs", "not supported by this server")
	case req.TopLogprobs != nil && *req.TopLogprobs != 0:
		return unsupported("top_logprobs", "not supported by this server")
	case isSet(req.Audio), slices.Contains(req.Modalities, "audio"):
		return unsupported("audio", "audio output is not supported by this server")
	case len(req.Functions) > 0:
		return unsupported("functions", "use tools instead")
	}
	return nil
}

// options collects Ollama's options: the server's defaults, and over them what
// the client asked for. What neither gives is left to the model's own defaults.
func options(req *openai.ChatRequest, defaults map[string]any) (map[string]any, error) {
	options := maps.Clone(defaults)
	if options == nil {
		options = make(map[string]any)
	}
	for _, number := range []struct {
		param, option string
		value         *float64
		min, max      float64
	}{
		{"temperature", "temperature", req.Temperature, 0, 2},
		{"top_p", "top_p", req.TopP, 0, 1},
		{"frequency_penalty", "frequency_penalty", req.FrequencyPenalty, -2, 2},
		{"presence_penalty", "presence_penalty", req.PresencePenalty, -2, 2},
	} {
		if number.value == nil {
			continue
		}
		if *number.value < number.min || *number.value > number.max {
			return nil, invalid(number.param, fmt.Sprintf("must lie between %g and %g", number.min, number.max))
		}
		options[number.option] = *number.value
	}
	if req.Seed != nil {
		options["seed"] = *req.Seed
	}
	// max_tokens is the old name; whoever sends both means the new one
	for _, limit := range []struct {
		param string
		value *int64
	}{{"max_tokens", req.MaxTokens}, {"max_completion_tokens", req.MaxCompletionTokens}} {
		if limit.value == nil {
			continue
		}
		if *limit.value < 1 {
			return nil, invalid(limit.param, "must be at least 1")
		}
		options["num_predict"] = *limit.value
	}
	if len(req.Stop) > 0 {
		options["stop"] = []string(req.Stop)
	}
	return options, nil
}

// tools passes the tools on, as tool_choice allows.
func tools(req *openai.ChatRequest) ([]ollama.Tool, error) {
	switch choice := string(req.ToolChoice); choice {
	case "", "null", `"auto"`:
	case `"none"`:
		return nil, nil
	default:
		return nil, unsupported("tool_choice", "only none and auto are supported by this server")
	}
	var tools []ollama.Tool
	for i, tool := range req.Tools {
		at := fmt.Sprintf("tools[%d]", i)
		if tool.Type != "function" {
			return nil, invalid(at+".type", "only function is supported")
		}
		if tool.Function.Name == "" {
			return nil, missing(at + ".function.name")
		}
		parameters := tool.Function.Parameters
		if !isSet(parameters) {
			// without one, Ollama would show the model {"type":"","properties":null}
			parameters = jsontext.Value(`{"type":"object","properties":{}}`)
		}
		if parameters.Kind() != '{' {
			return nil, wrongType(at + ".function.parameters")
		}
		tools = append(tools, ollama.Tool{Type: "function", Function: ollama.Function{
			Name:        tool.Function.Name,
			Description: tool.Function.Description,
			Parameters:  parameters,
		}})
	}
	return tools, nil
}

// format is Ollama's format: nothing, "json", or a schema.
func format(f *openai.ResponseFormat) (jsontext.Value, error) {
	if f == nil {
		return nil, nil
	}
	switch f.Type {
	case "text":
		return nil, nil
	case "json_object":
		return jsontext.Value(`"json"`), nil
	case "json_schema":
		schema := f.JSONSchema.Schema
		if !isSet(schema) {
			return nil, missing("response_format.json_schema.schema")
		}
		if schema.Kind() != '{' {
			return nil, wrongType("response_format.json_schema.schema")
		}
		return schema, nil
	default:
		return nil, invalid("response_format.type", "must be text, json_object or json_schema")
	}
}

// think switches reasoning off where the client wants none. Any other effort
// needs no word: a model that can think does so by itself (since Ollama 0.12.4),
// and to ask it of one that cannot would be an error.
func think(effort string) (*bool, error) {
	switch effort {
	case "none":
		return new(bool), nil
	case "", "minimal", "low", "medium", "high", "xhigh", "max":
		return nil, nil
	default:
		return nil, invalid("reasoning_effort", "must be none, minimal, low, medium, high, xhigh or max")
	}
}

// isSet reports whether a value is there and not null.
func isSet(v jsontext.Value) bool {
	return len(v) > 0 && v.Kind() != 'n'
}

func missing(param string) error {
	return &openai.Error{
		Message: "missing", Type: openai.TypeInvalidRequest, Param: param, Code: openai.CodeMissing,
	}
}

func invalid(param, message string) error {
	return &openai.Error{
		Message: message, Type: openai.TypeInvalidRequest, Param: param, Code: openai.CodeInvalidValue,
	}
}

func wrongType(param string) error {
	return &openai.Error{
		Message: "wrong type", Type: openai.TypeInvalidRequest, Param: param, Code: openai.CodeInvalidType,
	}
}

func unsupported(param, message string) error {
	return &openai.Error{
		Message: message, Type: openai.TypeInvalidRequest, Param: param, Code: openai.CodeUnsupported,
	}
}
