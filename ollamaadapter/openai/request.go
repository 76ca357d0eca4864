package openai

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ChatRequest is the body of POST /v1/chat/completions. Fields it does not name
// are accepted and ignored, as SDKs expect of compatible servers. Pointers tell
// a field left out (or null) from one that is zero.
type ChatRequest struct {
	Sampling

	Model    string   `json:"model"`
	Messages Messages `json:"messages"`

	Stream        bool           `json:"stream"`
	StreamOptions *StreamOptions `json:"stream_options"`

	Tools             []Tool          `json:"tools"`
	ToolChoice        jsontext.Value  `json:"tool_choice"`
	ParallelToolCalls *bool           `json:"parallel_tool_calls"`
	ResponseFormat    *ResponseFormat `json:"response_format"`

	ReasoningEffort string     `json:"reasoning_effort"`
	Reasoning       *Reasoning `json:"reasoning"`

	N           *int64 `json:"n"`
	Logprobs    bool   `json:"logprobs"`
	TopLogprobs *int64 `json:"top_logprobs"`

	Metadata map[string]jsontext.Value `json:"metadata"`
	// PromptCacheKey is the same for all turns of a conversation, where a client sends it.
	PromptCacheKey string `json:"prompt_cache_key"`

	// What Ollama has no counterpart for.
	LogitBias  jsontext.Value   `json:"logit_bias"`
	Modalities []string         `json:"modalities"`
	Audio      jsontext.Value   `json:"audio"`
	Functions  []jsontext.Value `json:"functions"`

	// Think is Ollama's own.
	Think jsontext.Value `json:"think"`
}

// Sampling is how an answer is to be drawn, in all requests for text.
type Sampling struct {
	Temperature         *float64 `json:"temperature"`
	TopP                *float64 `json:"top_p"`
	FrequencyPenalty    *float64 `json:"frequency_penalty"`
	PresencePenalty     *float64 `json:"presence_penalty"`
	Seed                *int64   `json:"seed"`
	MaxTokens           *int64   `json:"max_tokens"`
	MaxCompletionTokens *int64   `json:"max_completion_tokens"`
	Stop                Stop     `json:"stop"`

	// Ollama's own, which clients that know it send.
	Options       map[string]jsontext.Value `json:"options"`
	NumCtx        *int64                    `json:"num_ctx"`
	TopK          *int64                    `json:"top_k"`
	MinP          *float64                  `json:"min_p"`
	RepeatPenalty *float64                  `json:"repeat_penalty"`
	KeepAlive     KeepAlive                 `json:"keep_alive"`
}

// Reasoning is the form in which the Responses API and some clients ask for effort.
type Reasoning struct {
	Effort string `json:"effort"`
}

// StreamOptions is ChatRequest.StreamOptions.
type StreamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// ToolCall is a call of a tool that the model has asked for.
type ToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function FunctionCall `json:"function"`
}

// FunctionCall names the function called and its arguments, a JSON object within a string.
type FunctionCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// Tool is a function that the model may ask for.
type Tool struct {
	Type     string   `json:"type"`
	Function Function `json:"function"`
}

// Function describes a Tool. Parameters is a JSON schema.
type Function struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Parameters  jsontext.Value `json:"parameters"`
}

// ResponseFormat asks for text, any JSON object, or JSON of a schema.
type ResponseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Schema jsontext.Value `json:"schema"`
	} `json:"json_schema"`
}

// Stop is the sequences that end an answer: one string, several, or null.
type Stop []string

// UnmarshalJSONFrom reads any of the three forms.
func (s *Stop) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		*s = make(Stop, 1)
		return json.UnmarshalDecode(dec, &(*s)[0])
	}
	return json.UnmarshalDecode(dec, (*[]string)(s))
}
