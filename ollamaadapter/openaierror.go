package ollamaadapter

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

func init() {
	caddy.RegisterModule(ErrorHandler{})
}

// ErrorHandler answers an error in the shape that OpenAI's SDKs read, so that
// they can show the reason:
//
//	{"error":{"message":"…","type":"…","param":null,"code":"…"}}
//
// (and below `/api/` in Ollama's own, `{"error":"…"}`).
//
// Use it within `handle_errors`. Errors of this repository's handlers bring their
// own words; every other error gets words by its status, never its own text, which
// is for the log: what is the server's fault is logged at level ERROR.
type ErrorHandler struct {
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (ErrorHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.openai_error",
		New: func() caddy.Module { return new(ErrorHandler) },
	}
}

// Provision sets up the handler.
func (e *ErrorHandler) Provision(ctx caddy.Context) error {
	e.logger = ctx.Logger()
	return nil
}

func (e *ErrorHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	cause, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
	status := http.StatusInternalServerError
	if he, ok := errors.AsType[caddyhttp.HandlerError](cause); ok && he.StatusCode != 0 {
		status = he.StatusCode
	}
	answer, ok := errors.AsType[*openai.Error](cause)
	if !ok {
		answer = openai.ErrorOf(status)
	}
	header := w.Header()
	if status >= 500 {
		e.logger.Error("request failed", zap.Int("status", status),
			zap.String("request_id", header.Get("X-Request-Id")), zap.Error(cause))
	}
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified"} {
		header.Del(name) // of the answer that the error came instead of
	}
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	body := answer.JSON()
	if strings.HasPrefix(r.URL.Path, "/api/") { // clients of Ollama's own dialect read a string
		body = answer.NativeJSON()
	}
	_, err := w.Write(body)
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*ErrorHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*ErrorHandler)(nil)
)
