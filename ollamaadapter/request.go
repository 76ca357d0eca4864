package ollamaadapter

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
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
	if r.Method == method || r.Method == http.MethodHead && method == http.MethodGet { // net/http leaves the body out
		return serve, nil
	}
	if method == http.MethodGet {
		method = "GET, HEAD"
	}
	w.Header().Set("Allow", method)
	return nil, caddyhttp.Error(http.StatusMethodNotAllowed, openai.ErrorOf(http.StatusMethodNotAllowed))
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
	body, err := readAll(http.MaxBytesReader(w, r.Body, h.MaxBody), r.ContentLength)
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

// mostAnnounced bounds what is made ready for a body that was announced only, in bytes.
const mostAnnounced = 1 << 20

// readAll reads a body to its end. What its length is said to be, if not negative, saves
// the copies of one that grows.
func readAll(r io.Reader, announced int64) ([]byte, error) {
	size := min(announced, mostAnnounced) + 1 // so that the end shows
	if announced < 0 {
		size = bytes.MinRead
	}
	body := make([]byte, 0, size)
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		if len(body) == cap(body) {
			body = slices.Grow(body, len(body))
		}
	}
}

func tooLarge() error {
	return caddyhttp.Error(http.StatusRequestEntityTooLarge, openai.ErrorOf(http.StatusRequestEntityTooLarge))
}
