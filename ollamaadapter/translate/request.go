package translate

import (
	"maps"
	"slices"
	"strings"

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

	// Version is the upstream's, empty if not told; Features what it understands.
	Version  string
	Features ollama.Features
	// Remote says that the model runs elsewhere.
	Remote bool
	// Thinks tells whether the model can think; ThinksKnown whether that is known.
	Thinks, ThinksKnown bool
}

// maxChoices is how many choices one request may ask for.
const maxChoices = 8

// Exchange is a request as Ollama gets it, and what the answer must become.
type Exchange struct {
	// Path of Ollama's API.
	Path string
	// Requests are for Encode, one for each choice: Ollama gives one answer at a time.
	Requests []any
	Answer   AnswerForm
	// Load is a request to the same path that makes Ollama load the model as these
	// would, and nothing else; nil if there is nothing to be loaded.
	Load jsontext.Value
	// KeepAlive is how long the model stays loaded afterwards, in seconds; nil: as
	// long as Ollama likes.
	KeepAlive *float64
	// promptBytes is the text of the conversation, blanks aside, if Ollama may cut
	// it without a word; 0 if it would answer with an error.
	promptBytes int
}

// bytesPerToken is more than any tokenizer gets out of text on the average; Chinese
// comes to six at the most, English to five.
const bytesPerToken = 8

// WasCut reports whether the answer counts so few tokens of prompt that Ollama must
// have dropped a part of the conversation. Before 0.12.6 it cannot be told not to
// (ollama#4967). Ollama 0.30.0 counts what is not cached only (#16428), and old ones
// count nothing then; so no count says nothing.
func (e *Exchange) WasCut(s Summary) bool {
	return s.Counted && s.PromptTokens > 0 && s.CachedTokens == 0 &&
		e.promptBytes*len(e.Requests) > bytesPerToken*s.PromptTokens
}

// ChatRequest turns a decoded chat request into Ollama's. Its error is an
// *openai.Error that names the field at fault.
func ChatRequest(req *openai.ChatRequest, settings Settings) (*Exchange, error) {
	if err := checkSupported(req, settings.Features); err != nil {
		return nil, err
	}
	native := &chatRequest{ChatRequest: ollama.ChatRequest{
		Model:    settings.Model,
		Stream:   true, // so that it can be told from one that has come to a standstill
		Logprobs: req.Logprobs,
	}}
	if req.TopLogprobs != nil {
		native.TopLogprobs = *req.TopLogprobs
	}
	var err error
	if native.messages, err = messages(req.Messages); err != nil {
		return nil, err
	}
	if settings.MergeSystem {
		native.messages = mergeSystem(native.messages)
	}
	asked, err := askedOptions(&req.Sampling)
	if err != nil {
		return nil, err
	}
	native.Options = settings.Rules.Options(asked)
	native.KeepAlive = settings.Rules.KeepAliveFor(req.KeepAlive.Seconds)
	if native.Format, err = format(req.ResponseFormat, settings.Features); err != nil {
		return nil, err
	}
	if native.Think, err = think(req, settings); err != nil {
		return nil, err
	}
	if settings.Features.Truncate && !settings.CutOverflow {
		native.Truncate = new(bool)
	}

	form := AnswerForm{
		IncludeUsage: req.StreamOptions != nil && req.StreamOptions.IncludeUsage,
		OneCall:      req.ParallelToolCalls != nil && !*req.ParallelToolCalls,
		Reasoning:    settings.Reasoning,
		Logprobs:     req.Logprobs,
	}
	choice, err := parseToolChoice(req.ToolChoice)
	if err != nil {
		return nil, err
	}
	if native.Tools, err = tools(req.Tools, choice, settings.Features); err != nil {
		return nil, err
	}
	native.Stream = len(native.Tools) == 0 || settings.Features.ToolStreams
	if choice.required {
		if !settings.Features.SchemaFormat {
			return nil, unsupported("tool_choice", "the model server is too old for this choice")
		}
		form.ForcedCall = true
		if err := forceCall(native); err != nil {
			return nil, err
		}
	}
	form.MaxTokens = maxTokens(native.Options)
	exchange := &Exchange{
		Path: "/api/chat", Answer: form,
		Load: loadRequest("/api/chat", settings, native.Options), KeepAlive: native.KeepAlive,
	}
	if native.Truncate == nil && settings.Version != "0.30.0" {
		for _, m := range native.messages {
			exchange.promptBytes += textBytes(m.content.String())
		}
	}
	for choice := range choices(req.N) {
		one := *native
		one.Options = optionsOf(native.Options, choice)
		exchange.add(&one)
	}
	return exchange, nil
}

// textBytes counts the bytes of a text without its blanks, of which a token may
// hold any number.
func textBytes(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] > ' ' {
			n++
		}
	}
	return n
}

// add adds the request for the next choice.
func (e *Exchange) add(native any) {
	e.Requests = append(e.Requests, native)
	e.Answer.Choices++
}

func choices(n *int64) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// optionsOf are the options of one of several choices: with one seed they would be
// one choice several times.
func optionsOf(options map[string]any, choice int) map[string]any {
	if choice == 0 {
		return options
	}
	switch seed := options["seed"].(type) {
	case int64:
		options = maps.Clone(options)
		options["seed"] = seed + int64(choice)
	case float64: // the server's, out of Caddy's JSON
		options = maps.Clone(options)
		options["seed"] = seed + float64(choice)
	}
	return options
}

// checkSupported refuses what cannot be honoured. To ignore it would be to
// answer another question than the one asked.
func checkSupported(req *openai.ChatRequest, features ollama.Features) error {
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
	case req.Logprobs && !features.Logprobs:
		return unsupported("logprobs", "the model server is too old for this")
	}
	return nil
}

// tools passes on the tools that may be called.
func tools(in []openai.Tool, choice toolChoice, features ollama.Features) ([]ollama.Tool, error) {
	for i, tool := range in {
		if tool.Type != "function" {
			return nil, invalid(index("tools", i)+".type", "only function is supported")
		}
		if tool.Function.Name == "" {
			return nil, missing(index("tools", i) + ".function.name")
		}
	}
	picked, err := choice.pick(in)
	if err != nil {
		return nil, err
	}
	dialect := SchemaDialect{
		TypeLists: features.TypeLists, AnyOf: features.AnyOf, NestedRequired: features.NestedRequired,
	}
	var out []ollama.Tool
	for i, tool := range picked {
		at := index("tools", i) + ".function.parameters"
		parameters := tool.Function.Parameters
		if !isSet(parameters) {
			// without any, Ollama would show the model {"type":"","properties":null}
			parameters = jsontext.Value(`{}`)
		}
		if parameters.Kind() != '{' {
			return nil, wrongType(at)
		}
		schema, notes, err := toolSchema(parameters, dialect)
		if err != nil {
			return nil, invalid(at, err.Error())
		}
		out = append(out, ollama.Tool{Type: "function", Function: ollama.Function{
			Name:        tool.Function.Name,
			Description: strings.TrimSpace(tool.Function.Description + " " + notes),
			Parameters:  schema,
		}})
	}
	return out, nil
}

// format is Ollama's format: nothing, "json", or a schema.
func format(f *openai.ResponseFormat, features ollama.Features) (jsontext.Value, error) {
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
		if !features.SchemaFormat {
			return nil, unsupported("response_format", "the model server is too old for schemas")
		}
		return schema, nil
	default:
		return nil, invalid("response_format.type", "must be text, json_object or json_schema")
	}
}
