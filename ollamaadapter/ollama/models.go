package ollama

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Version is the answer to GET /api/version.
type Version struct {
	Version string `json:"version"`
}

// Tags is the answer to GET /api/tags and GET /api/ps.
type Tags struct {
	Models []Tag `json:"models"`
}

// Tag is one installed model. RemoteHost is set if it runs elsewhere (since 0.12.0).
type Tag struct {
	Name       string     `json:"name"`
	Model      string     `json:"model"`
	ModifiedAt time.Time  `json:"modified_at"`
	Digest     string     `json:"digest"`
	RemoteHost string     `json:"remote_host,omitzero"`
	Details    TagDetails `json:"details,omitzero"`
	// ContextLength is that of a loaded model, in /api/ps (since 0.10.0).
	ContextLength int `json:"context_length,omitzero"`
	// Capabilities are those that an engine tells; Ollama's come with Show.
	Capabilities []string `json:"-"`
}

// TagDetails is Tag.Details, as far as it is of use.
type TagDetails struct {
	ParameterSize     string `json:"parameter_size,omitzero"`
	QuantizationLevel string `json:"quantization_level,omitzero"`
}

// ShowRequest is the body of POST /api/show.
type ShowRequest struct {
	Model string `json:"model"`
}

// Show is the answer to POST /api/show, as far as it is of use.
type Show struct {
	// Capabilities (since 0.6.4): completion, tools, insert, vision, embedding, thinking, …
	Capabilities []string `json:"capabilities"`
	// ModelInfo has the model file's own metadata, such as llama.context_length.
	ModelInfo map[string]jsontext.Value `json:"model_info"`
}

// ContextLength is the longest context that the model was made for; 0 if not told.
func (s *Show) ContextLength() int {
	for name, value := range s.ModelInfo {
		if strings.HasSuffix(name, ".context_length") && value.Kind() == '0' {
			if n, err := strconv.Atoi(string(value)); err == nil {
				return n
			}
		}
	}
	return 0
}
