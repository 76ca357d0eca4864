package translate

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// UpstreamFault turns an error answer of Ollama's, or of an engine's, into the status and error that
// the client gets. What the request caused stays the client's to mend; what tells
// of our own set-up (401, 403, 405, 413 from Ollama) is a bad gateway.
//
// Their text is not passed on: it names internals, and repeats the client's
// input.
//
// path is the one of the upstream's API that was asked.
func UpstreamFault(path string, status int, body []byte) (int, *openai.Error) {
	if strings.HasPrefix(path, "/v1/") {
		return engineFault(path, status, body)
	}
	text := strings.ToLower(upstreamText(body))
	switch status {
	case http.StatusNotFound:
		// also Ollama's plain 404 page, if the upstream is no Ollama; then
		// nothing says that a model is missing
		if !strings.Contains(text, "model") {
			return http.StatusBadGateway, openai.ErrorOf(http.StatusBadGateway)
		}
		return http.StatusNotFound, ModelNotFound()
	case http.StatusBadRequest:
		fault := badRequest(path, text)
		if path == "/api/embed" && fault.Param == "" { // its answer to every failure of its own
			return http.StatusBadGateway, openai.ErrorOf(http.StatusBadGateway)
		}
		if fault.Code == openai.CodeContextLength {
			fault.Param = inputOf[path]
		}
		return http.StatusBadRequest, fault
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return status, openai.ErrorOf(status)
	case http.StatusTooManyRequests: // a cloud-hosted model's limit
		return http.StatusServiceUnavailable, openai.ErrorOf(http.StatusServiceUnavailable)
	default:
		return http.StatusBadGateway, openai.ErrorOf(http.StatusBadGateway)
	}
}

// inputOf is the field that holds what a model is to read.
var inputOf = map[string]string{"/api/chat": "messages", "/api/generate": "prompt", "/api/embed": "input",
	engineChatPath: "messages", engineTextPath: "prompt", engineEmbedPath: "input"}

// ModelNotFound is the one wording for a model that is not there, or not for this client.
func ModelNotFound() *openai.Error {
	return &openai.Error{
		Message: "the model does not exist or you have no access to it",
		Type:    openai.TypeInvalidRequest, Param: "model", Code: openai.CodeModelNotFound,
	}
}

// badRequest says what it was about a request that Ollama refused, as far as its
// text is known (server/routes.go, v0.17.4 and later).
func badRequest(path, text string) *openai.Error {
	e := &openai.Error{
		Message: "the model server refused the request", Type: openai.TypeInvalidRequest, Code: openai.CodeInvalidValue,
	}
	switch {
	case strings.Contains(text, "exceeds the available context size"), strings.Contains(text, "exceeds the context length"):
		e.Message, e.Param, e.Code = tooLong(path, text), "messages", openai.CodeContextLength
	case strings.Contains(text, "does not support tools"):
		e.Message, e.Param, e.Code = "the model does not support tools", "tools", openai.CodeUnsupported
	case strings.Contains(text, "does not support embed"):
		e.Message, e.Param, e.Code = "the model makes no embeddings", "model", openai.CodeUnsupported
	case strings.Contains(text, "does not support insert"):
		e.Message, e.Param, e.Code = "the model cannot fill in before a suffix", "suffix", openai.CodeUnsupported
	case strings.Contains(text, "does not support generate"):
		e.Message, e.Param, e.Code = "the model does not write text", "model", openai.CodeUnsupported
	case strings.Contains(text, "does not support chat"):
		e.Message, e.Param, e.Code = "the model does not support chat", "model", openai.CodeUnsupported
	case strings.Contains(text, "does not support thinking"):
		e.Message, e.Param, e.Code = "the model does not support reasoning", "reasoning_effort", openai.CodeUnsupported
	case strings.Contains(text, "model name"):
		e.Message, e.Param = "the model's name is not valid", "model"
	}
	return e
}

// messageTooLong is for where no lengths are told.
func messageTooLong(path string) string { return subject(path) + " is longer than the model's context" }

// subject is what a model is to read, in words.
func subject(path string) string {
	switch inputOf[path] {
	case "prompt":
		return "the prompt"
	case "input":
		return "the input"
	default:
		return "the conversation"
	}
}

// tooLong tells both lengths where the upstream does. Since 0.30 its error text is
// llama-server's error object, as JSON.
func tooLong(path, text string) string {
	var nested struct {
		Error struct {
			PromptTokens int `json:"n_prompt_tokens"`
			Context      int `json:"n_ctx"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(text), &nested) != nil || nested.Error.Context == 0 {
		return messageTooLong(path)
	}
	return lengths(path, nested.Error.PromptTokens, nested.Error.Context)
}

// lengths tells both, in tokens.
func lengths(path string, prompt, context int) string {
	return fmt.Sprintf("%s has %d tokens and the model's context %d", subject(path), prompt, context)
}

// upstreamText is the text of Ollama's `{"error": "text"}`. Other bodies have none.
func upstreamText(body []byte) string {
	var object struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &object) != nil {
		return ""
	}
	return object.Error
}

// AnswerFault is the status and error for an answer that could not be completed,
// though nothing was wrong with the request; err is one of this package's errors.
func AnswerFault(err error) (int, *openai.Error) {
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault.Status, fault.Told
	}
	status, message := http.StatusBadGateway, ""
	switch {
	case errors.Is(err, ErrCutShort):
		message = "the model server's answer was cut short"
	case errors.Is(err, ErrUpstream):
		message = "the model server failed while answering"
	case errors.Is(err, ErrGarbage):
		message = "the model server's answer cannot be read"
	case errors.Is(err, ErrStalled):
		status = http.StatusGatewayTimeout
	case errors.Is(err, ErrStopping):
		status, message = http.StatusServiceUnavailable, ErrStopping.Error()
	}
	e := openai.ErrorOf(status)
	e.Message = cmp.Or(message, e.Message)
	return status, e
}
