package translate

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// maxInputs is how many texts one request may have; OpenAI's own bound.
const maxInputs = 2048

// CheckEmbedding checks a decoded request for embeddings. Its error is an
// *openai.Error that names the field at fault.
func CheckEmbedding(req *openai.EmbeddingRequest) error {
	switch {
	case req.Input.Tokens:
		return unsupported("input", "token numbers are not supported by this server; send text")
	case len(req.Input.Texts) == 0:
		return missing("input")
	case len(req.Input.Texts) > maxInputs:
		return invalid("input", "must have at most 2048 texts")
	case slices.Contains(req.Input.Texts, ""): // OpenAI refuses it; Ollama has no vector for it, and no word of that
		return invalid("input", "must have no empty text")
	case req.EncodingFormat != "" && req.EncodingFormat != "float" && req.EncodingFormat != "base64":
		return invalid("encoding_format", "must be float or base64")
	case req.Dimensions != nil && *req.Dimensions < 1:
		return invalid("dimensions", "must be at least 1")
	}
	return nil
}

// EmbedRequest turns a checked request for embeddings into Ollama's. Of the server's
// options only those that a model is loaded with concern it.
func EmbedRequest(req *openai.EmbeddingRequest, settings Settings) *Exchange {
	if settings.Engine {
		return engineEmbedRequest(req, settings)
	}
	options := policy.LoadOptions(settings.Rules.Defaults)
	exchange := &Exchange{
		Path:      "/api/embed",
		Model:     settings.Model,
		Load:      loadRequest("/api/embed", settings, options),
		KeepAlive: settings.Rules.KeepAliveFor(req.KeepAlive.Seconds),
	}
	exchange.add(&ollama.EmbedRequest{
		Model: settings.Model, Input: req.Input.Texts, Dimensions: req.Dimensions,
		// what is too long is refused, not cut: the vector of a cut text is another text's
		Truncate: new(bool), Options: options, KeepAlive: exchange.KeepAlive,
	})
	return exchange
}

// Embeddings turns the body of the answer to such an exchange into OpenAI's list.
func (e *Exchange) Embeddings(body []byte, req *openai.EmbeddingRequest, model string) (*openai.EmbeddingList, Summary, error) {
	resp, err := e.vectors(body)
	if err != nil {
		return nil, Summary{}, err
	}
	if resp.Error != "" {
		return nil, Summary{}, reportedIn(body)
	}
	if len(resp.Embeddings) != len(req.Input.Texts) {
		return nil, Summary{}, ErrCutShort
	}
	summary := Summary{Model: resp.Model, PromptTokens: resp.PromptEvalCount, Counted: true, Loading: resp.LoadDuration}
	if err := tooManyDimensions(req.Dimensions, resp.Embeddings); err != nil {
		return nil, summary, err
	}
	list := &openai.EmbeddingList{
		Object: "list", Model: model,
		Data:  make([]openai.Embedding, len(resp.Embeddings)),
		Usage: openai.EmbeddingUsage{PromptTokens: resp.PromptEvalCount, TotalTokens: resp.PromptEvalCount},
	}
	for i, vector := range resp.Embeddings {
		data, err := encodeVector(vector, req.EncodingFormat)
		if err != nil {
			return nil, Summary{}, ErrGarbage
		}
		list.Data[i] = openai.Embedding{Object: "embedding", Index: i, Embedding: data}
	}
	return list, summary, nil
}

// tooManyDimensions is the fault of a request that asks for more than the model has,
// which Ollama does not say: its vectors are as long as they are.
func tooManyDimensions(asked *int64, vectors [][]float32) error {
	if asked == nil {
		return nil
	}
	for _, vector := range vectors {
		if int64(len(vector)) < *asked {
			return &Fault{http.StatusBadRequest, openai.FieldError("dimensions", openai.CodeInvalidValue,
				fmt.Sprintf("the model has only %d", len(vector)))}
		}
	}
	return nil
}

func (e *Exchange) vectors(body []byte) (*ollama.EmbedResponse, error) {
	if e.Answer.Engine {
		return engineVectors(body)
	}
	resp := new(ollama.EmbedResponse)
	if json.Unmarshal(body, resp, tolerant) != nil {
		return nil, ErrGarbage
	}
	return resp, nil
}

func encodeVector(vector []float32, format string) (jsontext.Value, error) {
	if format != "base64" {
		return json.Marshal(vector)
	}
	data := make([]byte, 0, 4*len(vector))
	for _, x := range vector {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(data))
}
