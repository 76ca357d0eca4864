package ollama

// EmbedRequest is the body of POST /api/embed (since 0.2.6).
type EmbedRequest struct {
	Model      string         `json:"model"`
	Input      []string       `json:"input"`
	Truncate   *bool          `json:"truncate,omitzero"`
	Dimensions *int64         `json:"dimensions,omitzero"`
	KeepAlive  *float64       `json:"keep_alive,omitzero"`
	Options    map[string]any `json:"options,omitempty"`
}

// EmbedResponse is the answer to it.
type EmbedResponse struct {
	Model           string      `json:"model"`
	Embeddings      [][]float32 `json:"embeddings"`
	PromptEvalCount int         `json:"prompt_eval_count,omitzero"`
	LoadDuration    Nanoseconds `json:"load_duration,omitzero"`
	Error           string      `json:"error,omitzero"`
}
