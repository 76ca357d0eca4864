// Package openai has the shapes of OpenAI's API that clients of the gateway see.
package openai

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Types of errors, as OpenAI's SDKs know them.
const (
	TypeInvalidRequest = "invalid_request_error"
	TypePermission     = "permission_error"
	TypeRateLimit      = "rate_limit_error"
	TypeServer         = "server_error"
)

// Codes of errors. Clients decide by them; so they never change.
const (
	CodeInvalidAPIKey     = "invalid_api_key"
	CodeRateLimitExceeded = "rate_limit_exceeded"
	CodeModelNotFound     = "model_not_found"
	CodeUnsupported       = "unsupported_parameter"
	CodeInvalidValue      = "invalid_value"
	CodeInvalidType       = "invalid_type"
	CodeMissing           = "missing_required_parameter"
	CodeInvalidJSON       = "invalid_json"
	CodeTooLarge          = "request_too_large"
	CodeContextLength     = "context_length_exceeded"
	CodeUpstream          = "upstream_error"
)

// Error is what a client is told when its request fails. Chat programs show the
// message to their users as it is: it is short and repeats nothing of the input.
type Error struct {
	Message string
	Type    string
	Param   string // the field at fault, such as messages[0].content; may be empty
	Code    string // may be empty
}

func (e *Error) Error() string { return e.Message }

// FieldError is the error for a field of a request. Its message names the field, because
// SDKs show the message alone. So param must be a name of ours, with indices where it
// needs them, and nothing of the input.
func FieldError(param, code, message string) *Error {
	return &Error{Message: param + ": " + message, Type: TypeInvalidRequest, Param: param, Code: code}
}

// errorBody is Error on the wire: param and code are null, not missing, when empty.
type errorBody struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

// JSON is the body of an error answer, and the data of a stream's error event.
func (e *Error) JSON() []byte {
	var body errorBody
	body.Error.Message = e.Message
	body.Error.Type = e.Type
	body.Error.Param = orNull(e.Param)
	body.Error.Code = orNull(e.Code)
	data, err := json.Marshal(body, jsontext.AllowInvalidUTF8(true), jsontext.EscapeForJS(true))
	if err != nil {
		panic(err) // four strings always marshal
	}
	return data
}

// NativeJSON is the body of an error answer, and the last line of a stream, in
// Ollama's own dialect.
func (e *Error) NativeJSON() []byte {
	data, err := json.Marshal(map[string]string{"error": e.Message}, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // a string always marshals
	}
	return append(data, '\n')
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Cancelled is the error for an answer that the operator has ended.
func Cancelled() *Error {
	return &Error{Message: "the operator of this server has ended the request", Type: TypeServer, Code: "cancelled"}
}

// ErrorOf is the error for an answer of which nothing is known but its status.
func ErrorOf(status int) *Error {
	switch status {
	case http.StatusUnauthorized:
		return &Error{Message: "authentication required", Type: TypeInvalidRequest, Code: CodeInvalidAPIKey}
	case http.StatusForbidden:
		return &Error{Message: "access denied", Type: TypePermission, Code: "forbidden"}
	case http.StatusNotFound:
		return &Error{Message: "no such resource", Type: TypeInvalidRequest, Code: "not_found"}
	case http.StatusMethodNotAllowed:
		return &Error{Message: "method not allowed", Type: TypeInvalidRequest, Code: "method_not_allowed"}
	case http.StatusRequestEntityTooLarge:
		return &Error{Message: "request body is too large", Type: TypeInvalidRequest, Code: CodeTooLarge}
	case http.StatusTooManyRequests:
		return &Error{Message: "too many requests", Type: TypeRateLimit, Code: CodeRateLimitExceeded}
	case http.StatusBadGateway:
		return &Error{Message: "the model server failed or cannot be reached", Type: TypeServer, Code: CodeUpstream}
	case http.StatusServiceUnavailable:
		return &Error{Message: "the model server is busy or not available", Type: TypeServer, Code: "server_overloaded"}
	case http.StatusGatewayTimeout:
		return &Error{Message: "the model server took too long", Type: TypeServer, Code: "upstream_timeout"}
	}
	text := strings.ToLower(http.StatusText(status))
	if status >= 400 && status < 500 {
		if text == "" {
			text = "bad request"
		}
		return &Error{Message: text, Type: TypeInvalidRequest, Code: strings.ReplaceAll(text, " ", "_")}
	}
	return &Error{Message: "internal error", Type: TypeServer, Code: "internal_error"}
}
