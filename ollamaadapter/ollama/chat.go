// Package ollama has the shapes of Ollama's native API that the adapter uses
// (server/routes.go and api/types.go of Ollama, v0.1.45 to v0.33).
package ollama

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// ChatRequest is the body of POST /api/chat.
type ChatRequest struct {
	Model    string         `json:"model"`
	Messages []Message      `json:"messages,omitempty"` // left out by who writes them apart
	Stream   bool           `json:"stream"`             // Ollama's own default is true
	Format   jsontext.Value `json:"format,omitempty"`
	Tools    []Tool         `json:"tools,omitempty"`
	Options  map[string]any `json:"options,omitempty"`
	// Think is true, false or a level such as "low"; nil is the model's own default.
	Think any `json:"think,omitzero"`
	// Truncate set to false makes what is too long an error (since 0.12.6).
	Truncate *bool `json:"truncate,omitzero"`
	// KeepAlive is how long the model stays loaded, in seconds; negative is for ever.
	KeepAlive   *float64 `json:"keep_alive,omitzero"`
	Logprobs    bool     `json:"logprobs,omitzero"`
	TopLogprobs int64    `json:"top_logprobs,omitzero"`
}

// Message of a conversation. Images are base64 without a data URL's prefix.
type Message struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	Thinking   string     `json:"thinking,omitempty"`
	Images     []string   `json:"images,omitempty"`
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`
	ToolName   string     `json:"tool_name,omitempty"`    // read by Ollama's Go templates
	ToolCallID string     `json:"tool_call_id,omitempty"` // read by Jinja templates
}

// ToolCall asks for a function. Ollama may leave out the id, and counts Index in
// its own way; both are the adapter's business.
type ToolCall struct {
	ID       string       `json:"id,omitempty"`
	Function FunctionCall `json:"function"`
}

// FunctionCall has its arguments as an object, not within a string.
type FunctionCall struct {
	Index     int            `json:"index,omitempty"`
	Name      string         `json:"name"`
	Arguments jsontext.Value `json:"arguments"`
}

// Tool is a function that the model may ask for.
type Tool struct {
	Type     string   `json:"type"`
	Function Function `json:"function"`
}

// Function describes a Tool. Ollama wants Parameters to be an object schema.
type Function struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Parameters  jsontext.Value `json:"parameters"`
}

// ChatResponse is the answer, or one line of a streamed one. The counts are
// left out when zero, and come with Done only.
type ChatResponse struct {
	Model           string  `json:"model"`
	Message         Message `json:"message"`
	Done            bool    `json:"done"`
	DoneReason      string  `json:"done_reason,omitzero"` // stop, length, load, unload, or nothing
	PromptEvalCount int     `json:"prompt_eval_count,omitzero"`
	EvalCount       int     `json:"eval_count,omitzero"`
	// PromptEvalCachedCount is how much of the prompt was in the cache (newer than 0.33).
	PromptEvalCachedCount int `json:"prompt_eval_cached_count,omitzero"`
	// What took how long.
	LoadDuration       Nanoseconds `json:"load_duration,omitzero"`
	PromptEvalDuration Nanoseconds `json:"prompt_eval_duration,omitzero"`
	EvalDuration       Nanoseconds `json:"eval_duration,omitzero"`

	Logprobs []Logprob `json:"logprobs,omitempty"`
	// Response and Thinking are /api/generate's form of the message.
	Response string `json:"response,omitzero"`
	Thinking string `json:"thinking,omitzero"`
	// Error stands alone in a line when Ollama fails after it began to answer.
	Error string `json:"error,omitzero"`
}

// Nanoseconds is how long something took. One that cannot be is 0: no answer is worth
// less for it.
type Nanoseconds int64

// UnmarshalJSON never fails.
func (n *Nanoseconds) UnmarshalJSON(data []byte) error {
	*n = 0
	if i, err := strconv.ParseInt(string(data), 10, 64); err == nil && i > 0 {
		*n = Nanoseconds(i)
	}
	return nil
}

// Logprob is the probability of a token, and of those it was chosen before.
type Logprob struct {
	Token       string    `json:"token"`
	Logprob     float64   `json:"logprob"`
	Bytes       *[]int    `json:"bytes"`
	TopLogprobs []Logprob `json:"top_logprobs"`
}
