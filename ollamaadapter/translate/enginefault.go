package translate

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Fault is an error that an engine reports in the midst of its stream, or that only an
// answer shows, as the status and error that the client gets.
type Fault struct {
	Status int
	Told   *openai.Error
}

func (f *Fault) Error() string { return f.Told.Error() }

// engineError is what engines say of an error, in any of their shapes:
//
//	vLLM       {"error":{"message","type","param","code":400}}, and once the same without "error"
//	TGI        {"error":"text","error_type":"validation"}; in a stream {"error":{"message","http_status_code":422}}
//	llama.cpp  {"error":{"code":400,"message","type":"exceed_context_size_error","n_prompt_tokens","n_ctx"}}
//	gateway    {"error":{"message","type","param","code":"context_length_exceeded"}}
type engineError struct {
	said   string // its message
	text   string // the same in small letters
	kind   string
	param  string
	code   string // a word
	status int    // as its body tells; 0 if it does not

	promptTokens, context int // 0 if not told
}

// plainParam is a field's name as we write it ourselves.
var plainParam = regexp.MustCompile(`^[a-z_]{1,40}(\[[0-9]{1,6}\]|\.[a-z_]{1,40}){0,8}$`)

func readEngineError(body []byte) (e engineError) {
	var outer struct {
		Error jsontext.Value `json:"error"`
		Type  string         `json:"error_type"`
	}
	if json.Unmarshal(body, &outer, tolerant) != nil {
		return e
	}
	object := jsontext.Value(body)
	switch outer.Error.Kind() {
	case '"':
		_ = json.Unmarshal(outer.Error, &e.said, tolerant) // a string
		e.text, e.kind = strings.ToLower(e.said), outer.Type
		return e
	case '{':
		object = outer.Error
	}
	var inner struct {
		Message jsontext.Value `json:"message"`
		Type    jsontext.Value `json:"type"`
		Param   jsontext.Value `json:"param"`
		Code    jsontext.Value `json:"code"`
		Status  int            `json:"http_status_code"`
		Prompt  int            `json:"n_prompt_tokens"`
		Context int            `json:"n_ctx"`
	}
	if json.Unmarshal(object, &inner, tolerant) != nil {
		return e
	}
	e.said, e.kind = textOf(inner.Message), textOf(inner.Type)
	e.text = strings.ToLower(e.said)
	e.param, e.code = textOf(inner.Param), textOf(inner.Code)
	e.status, e.promptTokens, e.context = inner.Status, inner.Prompt, inner.Context
	if inner.Code.Kind() == '0' {
		e.status, _ = strconv.Atoi(string(inner.Code))
	} else if n, err := strconv.Atoi(e.code); err == nil { // a number all the same
		e.status, e.code = n, ""
	}
	return e
}

// textOf is what a JSON string says; nothing of anything else.
func textOf(value jsontext.Value) string {
	if len(value) == 0 || value.Kind() != '"' {
		return ""
	}
	text, _ := jsontext.AppendUnquote(nil, value)
	return string(text)
}

// streamFault is the error that an event of a stream tells of.
func streamFault(data []byte) error {
	e := readEngineError(data)
	status := e.status
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	if e.code == "upstream_timeout" { // another gateway's, which has waited as long as we do
		return ErrStalled
	}
	status, fault := e.fault("", status) // which of its paths does not show
	if status == http.StatusBadGateway {
		return reported{ErrUpstream, FailureWords(data)}
	}
	return reported{&Fault{status, fault}, FailureWords(data)}
}

// engineFault is UpstreamFault, of an engine.
func engineFault(path string, status int, body []byte) (int, *openai.Error) {
	e := readEngineError(body)
	status, fault := e.fault(path, status)
	if fault.Code == openai.CodeContextLength {
		fault.Param = inputOf[path]
	}
	return status, fault
}

// requestCodes are codes by which another gateway blames the request.
var requestCodes = []string{
	openai.CodeUnsupported, openai.CodeInvalidValue, openai.CodeInvalidType, openai.CodeMissing,
}

// fault is what the client is told of an error with this status, at one of its paths.
func (e *engineError) fault(path string, status int) (int, *openai.Error) {
	switch {
	case e.tooLong():
		return http.StatusBadRequest, &openai.Error{
			Message: e.lengths(path), Type: openai.TypeInvalidRequest, Param: "messages", Code: openai.CodeContextLength,
		}
	case e.code == openai.CodeModelNotFound, status == http.StatusNotFound && strings.Contains(e.text, "model"):
		return http.StatusNotFound, ModelNotFound()
	}
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return http.StatusBadRequest, e.refusal(status)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return http.StatusServiceUnavailable, openai.ErrorOf(http.StatusServiceUnavailable)
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return http.StatusGatewayTimeout, openai.ErrorOf(http.StatusGatewayTimeout)
	default:
		return http.StatusBadGateway, openai.ErrorOf(http.StatusBadGateway)
	}
}

// tooLong reports whether the conversation does not fit into the model's context.
func (e *engineError) tooLong() bool {
	if e.code == openai.CodeContextLength || e.kind == "exceed_context_size_error" {
		return true
	}
	for _, sign := range []string{
		"maximum context length",             // vLLM
		"longer than the maximum model",      // vLLM
		"`inputs` tokens + `max_new_tokens`", // TGI
		"`inputs` must have less than",       // TGI
		"exceeds the available context size", // llama.cpp
		"exceeds the context length",         // Ollama
	} {
		if strings.Contains(e.text, sign) {
			return true
		}
	}
	return false
}

// modelContext finds the length of the context in vLLM's and TGI's words.
var modelContext = regexp.MustCompile(`(?:maximum context length is|maximum model length of|` + "`max_new_tokens` must be <=|`inputs` must have less than" + `) ([0-9]{1,9})`)

// lengths tells the lengths, as far as the engine does.
func (e *engineError) lengths(path string) string {
	if e.context > 0 && e.promptTokens > 0 {
		return lengths(path, e.promptTokens, e.context)
	}
	if found := modelContext.FindStringSubmatch(e.text); found != nil {
		return messageTooLong(path) + " of " + found[1] + " tokens"
	}
	return messageTooLong(path)
}

// refusal says what it was about a request that an engine refused, as far as its words
// are known. They are not passed on: they repeat the client's input.
func (e *engineError) refusal(status int) *openai.Error {
	fault := &openai.Error{
		Message: "the model server refused the request", Type: openai.TypeInvalidRequest, Code: openai.CodeInvalidValue,
	}
	if status == http.StatusNotImplemented {
		fault.Message, fault.Code = "the model server does not support this", openai.CodeUnsupported
	}
	if slices.Contains(requestCodes, e.code) {
		fault.Code = e.code
	}
	if plainParam.MatchString(e.param) {
		fault.Param = e.param
	}
	for _, known := range []struct{ sign, message, param string }{
		{"enable-auto-tool-choice", "the model server is not set up for tools", "tools"},
		{"tools param requires --jinja", "the model server is not set up for tools", "tools"},
		{"does not support tools", "the model does not support tools", "tools"},
		{"not a multimodal model", "the model takes text only", "messages"},
		{"image input is not supported", "the model takes text only", "messages"},
		{"does not support images", "the model does not support images", "messages"}, // another gateway's
		{"audio input is not supported", "the model takes no sound", "messages"},
		{"suffix is not", "the model cannot fill in before a suffix", "suffix"},
		{"does not support embeddings", "the model makes no embeddings", "model"},
		{"does not support chat completions", "the model does not support chat", "model"},
		{"does not support completions", "the model does not write text", "model"},
	} {
		if strings.Contains(e.text, known.sign) {
			fault.Message, fault.Param, fault.Code = known.message, known.param, openai.CodeUnsupported
		}
	}
	return fault
}
