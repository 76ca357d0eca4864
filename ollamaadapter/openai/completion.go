package openai

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// TextRequest is the body of POST /v1/completions, the forerunner of chat.
type TextRequest struct {
	Sampling

	Model         string         `json:"model"`
	Prompt        Prompt         `json:"prompt"`
	Suffix        string         `json:"suffix"`
	Echo          bool           `json:"echo"`
	N             *int64         `json:"n"`
	BestOf        *int64         `json:"best_of"`
	Logprobs      *int64         `json:"logprobs"` // how many besides the one chosen
	LogitBias     jsontext.Value `json:"logit_bias"`
	Stream        bool           `json:"stream"`
	StreamOptions *StreamOptions `json:"stream_options"`

	// Raw is Ollama's own: no template around the prompt.
	Raw bool `json:"raw"`
}

// Prompt is one text or several. Tokens says that the client sent token numbers
// instead.
type Prompt struct {
	Texts  []string
	Tokens bool
}

// UnmarshalJSONFrom reads a string, a list of strings, or lists of numbers.
func (p *Prompt) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case 'n':
		return dec.SkipValue()
	case '"':
		p.Texts = make([]string, 1)
		return json.UnmarshalDecode(dec, &p.Texts[0])
	}
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	var numbers []float64
	var lists [][]float64
	if json.Unmarshal(value, &numbers) == nil && len(numbers) > 0 ||
		json.Unmarshal(value, &lists) == nil && len(lists) > 0 {
		p.Tokens = true
		return nil
	}
	if json.Unmarshal(value, &p.Texts) != nil {
		return wrongType(dec) // its own error would name the place within value alone
	}
	return nil
}

// TextCompletion is the answer to a TextRequest, and each chunk of a streamed one.
type TextCompletion struct {
	ID                string       `json:"id"`
	Object            string       `json:"object"` // text_completion
	Created           int64        `json:"created"`
	Model             string       `json:"model"`
	SystemFingerprint string       `json:"system_fingerprint,omitempty"`
	Choices           []TextChoice `json:"choices"`
	Usage             *Usage       `json:"usage,omitzero"`
}

// TextChoice is a choice of a TextCompletion. FinishReason is null but in the last
// chunk of a stream.
type TextChoice struct {
	Index        int           `json:"index"`
	Text         string        `json:"text"`
	Logprobs     *TextLogprobs `json:"logprobs"`
	FinishReason *string       `json:"finish_reason"`
}

// TextLogprobs are the probabilities of a text's tokens, in lists of equal length.
type TextLogprobs struct {
	Tokens        []string             `json:"tokens"`
	TokenLogprobs []float64            `json:"token_logprobs"`
	TopLogprobs   []map[string]float64 `json:"top_logprobs"`
	TextOffset    []int                `json:"text_offset"`
}
