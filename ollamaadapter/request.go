package ollamaadapter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// serveFunc serves one endpoint; next is the upstream.
type serveFunc = func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error

// endpoint finds what serves the request by its exact method and path. A path
// that is written in any other way than ours is not served: what one program
// takes for /v1/models another may take for something else.
func (h *Handler) endpoint(w http.ResponseWriter, r *http.Request) (serve serveFunc, err error) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/v1")
	method := http.MethodPost
	switch path {
	case "/chat/completions":
		serve = h.serveChat
	case "/completions":
		serve = h.serveText
	case "/embeddings":
		serve = h.serveEmbeddings
	case "/models":
		method, serve = http.MethodGet, h.serveModels
	default:
		if method, serve = h.nativeEndpoint(r.URL.EscapedPath()); serve != nil {
			break
		}
		// SDKs escape the slashes of a model's name, curl's users do not
		id, found := strings.CutPrefix(path, "/models/")
		name, err := url.PathUnescape(id)
		if !found || err != nil || name == "" {
			return nil, caddyhttp.Error(http.StatusNotFound, openai.ErrorOf(http.StatusNotFound))
		}
		method = http.MethodGet
		serve = func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
			return h.serveModel(w, r, next, name)
		}
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		return nil, caddyhttp.Error(http.StatusMethodNotAllowed, openai.ErrorOf(http.StatusMethodNotAllowed))
	}
	return serve, nil
}

// readBody reads the body to its end. That matters beyond the content: as long as
// a body of HTTP/1 is unread, net/http does not notice that the client has left.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, caddyhttp.Error(http.StatusUnsupportedMediaType, &openai.Error{
			Message: "compressed request bodies are not supported", Type: openai.TypeInvalidRequest, Code: openai.CodeUnsupported,
		})
	}
	if r.ContentLength > h.MaxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.MaxBody))
	if err == nil {
		return body, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge()
	}
	if _, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return nil, err // from Caddy's request_body
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // before the context, which net/http then cancels too
		return nil, caddyhttp.Error(http.StatusRequestTimeout, &openai.Error{
			Message: "the request body came too slowly", Type: openai.TypeInvalidRequest, Code: "request_timeout",
		})
	}
	if record.WasCancelled(r.Context()) {
		return nil, cancelled(r)
	}
	if r.Context().Err() != nil {
		record.From(r.Context()).Explain(record.ClientGone)
		return nil, caddyhttp.Error(record.StatusClientGone, err)
	}
	return nil, caddyhttp.Error(http.StatusBadRequest, &openai.Error{
		Message: "the request body could not be read", Type: openai.TypeInvalidRequest, Code: openai.CodeInvalidJSON,
	})
}

func tooLarge() error {
	return caddyhttp.Error(http.StatusRequestEntityTooLarge, openai.ErrorOf(http.StatusRequestEntityTooLarge))
}

// upstreamRequest makes the request for the upstream from constants and body; of the
// client's it keeps the context, the request id and the trace.
func (h *Handler) upstreamRequest(r *http.Request, method, path string, body []byte) *http.Request {
	// reverse_proxy keeps its own in Caddy's variables of the request; net/http may
	// still dial by those of one question when the next is asked
	ctx := r.Context()
	if vars, ok := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
		ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, maps.Clone(vars))
	}
	out := r.WithContext(ctx)
	out.Method = method
	out.URL = &url.URL{Path: path}
	out.RequestURI = path
	out.Host = h.upstreamHost()
	out.Header = http.Header{"Accept": {"application/json"}}
	if conversation, _ := caddyhttp.GetVar(ctx, varConversation).(string); conversation != "" && h.engine() {
		out.Header.Set("X-Conversation-Id", conversation) // which another gateway takes over
	}
	for _, name := range []string{"X-Request-Id", "Traceparent", "Tracestate"} {
		if values := r.Header.Values(name); len(values) > 0 {
			out.Header[name] = values
		}
	}
	out.Trailer, out.TransferEncoding = nil, nil
	out.Body, out.ContentLength = http.NoBody, int64(len(body))
	if body != nil {
		out.Header.Set("Content-Type", "application/json")
		out.Body = io.NopCloser(bytes.NewReader(body))
	}
	return out
}
