package translate

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// Settings is what server and upstream say of a request.
type Settings struct {
	// Model is the upstream's name of the model.
	Model string
	// MergeSystem folds system text into the first user message.
	MergeSystem bool
	// Rules are the server's for this model.
	Rules policy.Rules
	// CutOverflow lets Ollama cut a conversation that is too long, without a word,
	// instead of answering that it is.
	CutOverflow bool
	// Reasoning says in which fields an answer shows its reasoning.
	Reasoning ReasoningFields

	// Engine says that the upstream speaks OpenAI's dialect. Then what follows does
	// not matter.
	Engine bool
	// Version is the upstream's, empty if not told; Features what it understands.
	Version  string
	Features ollama.Features
	// Remote says that the model runs elsewhere.
	Remote bool
	// Thinks tells whether the model can think; ThinksKnown whether that is known.
	Thinks, ThinksKnown bool
	// TextOnly says that the model is known to see no images.
	TextOnly bool
}

// ChatDraft is a chat request of which everything is checked that is wrong whatever
// the upstream: such a request is refused before the upstream is asked anything.
type ChatDraft struct {
	req      *openai.ChatRequest
	messages []message
	options  map[string]any // as the client asks for them
	format   jsontext.Value
	thinking thinking
	choice   toolChoice
}

// DraftChat checks a decoded chat request. Its error is an *openai.Error that names
// the field at fault.
func DraftChat(req *openai.ChatRequest) (*ChatDraft, error) {
	if err := checkSupported(req); err != nil {
		return nil, err
	}
	d := &ChatDraft{req: req}
	var err error
	if d.messages, err = messages(req.Messages); err != nil {
		return nil, err
	}
	if d.options, err = askedOptions(&req.Sampling); err != nil {
		return nil, err
	}
	if d.format, err = format(req.ResponseFormat); err != nil {
		return nil, err
	}
	if d.thinking, err = askedThinking(req); err != nil {
		return nil, err
	}
	if d.choice, err = parseToolChoice(req.ToolChoice); err != nil {
		return nil, err
	}
	if err := checkTools(req.Tools, d.choice); err != nil {
		return nil, err
	}
	return d, nil
}

// For turns the draft into requests for this upstream. Its error is an *openai.Error
// that names what the upstream cannot do.
func (d *ChatDraft) For(settings Settings) (*Exchange, error) {
	if settings.Engine {
		return d.forEngine(settings)
	}
	if err := d.checkFeatures(settings.Features); err != nil {
		return nil, err
	}
	req := d.req
	if settings.TextOnly && hasImages(req.Messages) { // Ollama would leave them out without a word
		return nil, unsupported("messages", "the model does not support images")
	}
	native := &chatRequest{
		ChatRequest: ollama.ChatRequest{
			Model:     settings.Model,
			Format:    d.format,
			Options:   settings.Rules.Options(d.options),
			Think:     d.thinking.on(settings),
			KeepAlive: settings.Rules.KeepAliveFor(req.KeepAlive.Seconds),
			Logprobs:  req.Logprobs,
		},
		messages: d.messages,
	}
	if req.TopLogprobs != nil {
		native.TopLogprobs = *req.TopLogprobs
	}
	if settings.MergeSystem {
		native.messages = mergeSystem(native.messages)
	}
	if settings.Features.Truncate && !settings.CutOverflow {
		native.Truncate = new(bool)
	}
	var err error
	if native.Tools, err = tools(req.Tools, d.choice, settings.Features); err != nil {
		return nil, err
	}
	// always as a stream, because that can be told from one at a standstill; but an
	// old Ollama finds no tool calls in its streams
	native.Stream = len(native.Tools) == 0 || settings.Features.ToolStreams
	if d.choice.required {
		if err := forceCall(native); err != nil {
			return nil, err
		}
	}
	exchange := &Exchange{Path: "/api/chat", Model: settings.Model, Answer: AnswerForm{
		IncludeUsage: req.StreamOptions != nil && req.StreamOptions.IncludeUsage,
		OneCall:      req.ParallelToolCalls != nil && !*req.ParallelToolCalls,
		ForcedCall:   d.choice.required,
		Reasoning:    settings.Reasoning,
		Logprobs:     req.Logprobs,
		MaxTokens:    maxTokens(native.Options),
	}, Load: loadRequest("/api/chat", settings, native.Options), KeepAlive: native.KeepAlive}
	if native.Truncate == nil && settings.Version != "0.30.0" {
		for _, m := range native.messages {
			exchange.promptBytes += textBytes(m.content.String())
		}
	}
	exchange.add(native)
	for choice := 1; choice < choices(req.N); choice++ {
		one := *native
		one.Options = optionsOf(native.Options, choice)
		exchange.add(&one)
	}
	return exchange, nil
}

// checkSupported refuses what cannot be honoured. To ignore it would be to
// answer another question than the one asked.
func checkSupported(req *openai.ChatRequest) error {
	top := req.TopLogprobs
	switch {
	case req.N != nil && (*req.N < 1 || *req.N > maxChoices):
		return invalid("n", "must lie between 1 and 8")
	case isSet(req.LogitBias) && string(req.LogitBias) != "{}":
		return unsupported("logit_bias", "not supported by this server")
	case isSet(req.Audio), slices.Contains(req.Modalities, "audio"):
		return unsupported("audio", "audio output is not supported by this server")
	case len(req.Functions) > 0:
		return unsupported("functions", "use tools instead")
	case top != nil && (*top < 0 || *top > 20):
		return invalid("top_logprobs", "must lie between 0 and 20")
	case top != nil && *top > 0 && !req.Logprobs:
		return invalid("top_logprobs", "needs logprobs to be true")
	}
	return nil
}

// checkFeatures refuses what the upstream is too old for.
func (d *ChatDraft) checkFeatures(features ollama.Features) error {
	switch {
	case d.req.Logprobs && !features.Logprobs:
		return unsupported("logprobs", "the model server is too old for this")
	case d.format.Kind() == '{' && !features.SchemaFormat:
		return unsupported("response_format", "the model server is too old for schemas")
	case d.choice.required && !features.SchemaFormat:
		return unsupported("tool_choice", "the model server is too old for this choice")
	}
	return nil
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
