package openai

// Completion is the answer to a ChatRequest that asked for no stream.
type Completion struct {
	ID                string   `json:"id"`
	Object            string   `json:"object"` // chat.completion
	Created           int64    `json:"created"`
	Model             string   `json:"model"`
	SystemFingerprint string   `json:"system_fingerprint,omitempty"`
	Choices           []Choice `json:"choices"`
	Usage             *Usage   `json:"usage"`
}

// Choice of a Completion.
type Choice struct {
	Index        int           `json:"index"`
	Message      AnswerMessage `json:"message"`
	Logprobs     *Logprobs     `json:"logprobs"`
	FinishReason string        `json:"finish_reason"`
}

// AnswerMessage is what the model said. Content is null if it only called tools;
// Refusal is always null, but SDKs with strict types want to see it.
type AnswerMessage struct {
	Role             string           `json:"role"`
	Content          *string          `json:"content"`
	Refusal          *string          `json:"refusal"`
	Reasoning        string           `json:"reasoning,omitempty"`
	ReasoningContent string           `json:"reasoning_content,omitempty"`
	ToolCalls        []AnswerToolCall `json:"tool_calls,omitempty"`
}

// AnswerToolCall is a tool call in an answer. Index is set in streams only.
type AnswerToolCall struct {
	Index    *int         `json:"index,omitzero"`
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function FunctionCall `json:"function"`
}

// Chunk is one event of a stream. Usage is set in the last one only, if the
// client asked for it.
type Chunk struct {
	ID                string        `json:"id"`
	Object            string        `json:"object"` // chat.completion.chunk
	Created           int64         `json:"created"`
	Model             string        `json:"model"`
	SystemFingerprint string        `json:"system_fingerprint,omitempty"`
	Choices           []ChunkChoice `json:"choices"`
	Usage             *Usage        `json:"usage,omitzero"`
}

// ChunkChoice is the choice of a Chunk. FinishReason is null but in the last.
type ChunkChoice struct {
	Index        int       `json:"index"`
	Delta        Delta     `json:"delta"`
	Logprobs     *Logprobs `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

// Delta is what a Chunk adds to the message.
type Delta struct {
	Role             string           `json:"role,omitempty"`
	Content          *string          `json:"content,omitzero"`
	Reasoning        string           `json:"reasoning,omitempty"`
	ReasoningContent string           `json:"reasoning_content,omitempty"`
	ToolCalls        []AnswerToolCall `json:"tool_calls,omitempty"`
}

// Logprobs are the probabilities of an answer's tokens. Refusal is always null.
type Logprobs struct {
	Content []TokenLogprob `json:"content"`
	Refusal *string        `json:"refusal"`
}

// TokenLogprob is the probability of a token, and of those it was chosen before.
// Bytes is null if the upstream does not tell.
type TokenLogprob struct {
	Token       string       `json:"token"`
	Logprob     float64      `json:"logprob"`
	Bytes       *[]int       `json:"bytes"`
	TopLogprobs []TopLogprob `json:"top_logprobs"`
}

// TopLogprob is a token that could have come.
type TopLogprob struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
	Bytes   *[]int  `json:"bytes"`
}

// Usage is the number of tokens that a request cost.
type Usage struct {
	PromptTokens        int            `json:"prompt_tokens"`
	CompletionTokens    int            `json:"completion_tokens"`
	TotalTokens         int            `json:"total_tokens"`
	PromptTokensDetails *PromptDetails `json:"prompt_tokens_details,omitzero"`
}

// PromptDetails tells how much of the prompt was in the cache, if the upstream does.
type PromptDetails struct {
	CachedTokens int `json:"cached_tokens"`
}

// ModelList is the answer to GET /v1/models.
type ModelList struct {
	Object string  `json:"object"` // list
	Data   []Model `json:"data"`
}

// Model is one model of a ModelList. The last two are not OpenAI's: the longest
// context that a client has, in tokens, and what the model can do, in Ollama's words.
type Model struct {
	ID            string   `json:"id"`
	Object        string   `json:"object"` // model
	Created       int64    `json:"created"`
	OwnedBy       string   `json:"owned_by"`
	ContextLength int      `json:"context_length,omitzero"`
	Capabilities  []string `json:"capabilities,omitempty"`
}
