package ollama

// GenerateRequest is the body of POST /api/generate. The answer is a ChatResponse
// with Response and Thinking instead of a message.
type GenerateRequest struct {
	Model       string         `json:"model"`
	Prompt      string         `json:"prompt"`
	Suffix      string         `json:"suffix,omitzero"` // for models that can fill in (since 0.2.6)
	Stream      bool           `json:"stream"`          // Ollama's own default is true
	Raw         bool           `json:"raw,omitzero"`    // no template around the prompt
	Options     map[string]any `json:"options,omitempty"`
	Think       any            `json:"think,omitzero"`
	Truncate    *bool          `json:"truncate,omitzero"`
	KeepAlive   *float64       `json:"keep_alive,omitzero"`
	Logprobs    bool           `json:"logprobs,omitzero"`
	TopLogprobs int64          `json:"top_logprobs,omitzero"`
}
