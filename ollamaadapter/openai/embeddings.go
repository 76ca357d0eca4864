package openai

import "github.com/go-json-experiment/json/jsontext"

// EmbeddingRequest is the body of POST /v1/embeddings.
type EmbeddingRequest struct {
	Model          string    `json:"model"`
	Input          Prompt    `json:"input"`
	Dimensions     *int64    `json:"dimensions"`
	EncodingFormat string    `json:"encoding_format"`
	KeepAlive      KeepAlive `json:"keep_alive"` // not OpenAI's
}

// EmbeddingList is the answer to an EmbeddingRequest.
type EmbeddingList struct {
	Object string         `json:"object"` // list
	Data   []Embedding    `json:"data"`
	Model  string         `json:"model"`
	Usage  EmbeddingUsage `json:"usage"`
}

// Embedding is the vector of one text: a list of numbers, or base64 of their
// little-endian 32-bit form if the client asked for that.
type Embedding struct {
	Object    string         `json:"object"` // embedding
	Index     int            `json:"index"`
	Embedding jsontext.Value `json:"embedding"`
}

// EmbeddingUsage is the number of tokens that the texts came to.
type EmbeddingUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}
