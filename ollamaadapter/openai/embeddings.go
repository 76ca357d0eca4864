package openai

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// EmbeddingRequest is the body of POST /v1/embeddings.
type EmbeddingRequest struct {
	Model          string         `json:"model"`
	Input          EmbeddingInput `json:"input"`
	Dimensions     *int64         `json:"dimensions"`
	EncodingFormat string         `json:"encoding_format"`
	KeepAlive      KeepAlive      `json:"keep_alive"` // not OpenAI's
}

// EmbeddingInput is one text or several. Tokens says that the client sent token
// numbers instead.
type EmbeddingInput struct {
	Texts  []string
	Tokens bool
}

// UnmarshalJSONFrom reads a string, a list of strings, or lists of numbers.
func (e *EmbeddingInput) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case 'n':
		return dec.SkipValue()
	case '"':
		e.Texts = make([]string, 1)
		return json.UnmarshalDecode(dec, &e.Texts[0])
	}
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	var numbers []float64
	var lists [][]float64
	if json.Unmarshal(value, &numbers) == nil && len(numbers) > 0 ||
		json.Unmarshal(value, &lists) == nil && len(lists) > 0 {
		e.Tokens = true
		return nil
	}
	return json.Unmarshal(value, &e.Texts)
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
