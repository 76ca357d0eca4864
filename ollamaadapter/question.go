package ollamaadapter

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// question is what the upstream is to be asked: a request that is not made yet.
type question struct {
	// r is the request for whose sake it is asked. The question ends with it.
	r            *http.Request
	method, path string
	body         translate.Pieces // empty: none
	host         string           // empty: the upstream's address
	// conversation is told to an upstream that is another gateway; may be empty.
	conversation string
}

// question makes a question of constants and body; of the client's request it keeps
// the context, the request id and the trace.
func (h *Handler) question(r *http.Request, method, path string, body ...[]byte) question {
	q := question{r: r, method: method, path: path, body: body, host: h.upstreamHost()}
	if h.engine() {
		q.conversation, _ = caddyhttp.GetVar(r.Context(), varConversation).(string)
	}
	return q
}

// upstreamJSON is the question of a POST.
func (h *Handler) upstreamJSON(r *http.Request, path string, body any) (question, error) {
	data, err := translate.Encode(body)
	if err != nil {
		return question{}, caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("encoding the request for the upstream: %w", err))
	}
	return h.question(r, http.MethodPost, path, data...), nil
}

// parts are the parts of a request that it points to.
type parts struct {
	url    url.URL
	body   body
	values [3]string
}

// body is a request's body that lies in memory.
type body struct {
	rest translate.Pieces
	at   int // what was read of the first
}

// Read implements io.Reader.
func (b *body) Read(into []byte) (n int, err error) {
	for len(b.rest) > 0 && n < len(into) {
		copied := copy(into[n:], b.rest[0][b.at:])
		n += copied
		if b.at += copied; b.at == len(b.rest[0]) {
			b.rest, b.at = b.rest[1:], 0
		}
	}
	if n == 0 && len(into) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (*body) Close() error { return nil }

// request makes the request.
func (q *question) request() *http.Request {
	ctx := q.r.Context()
	// reverse_proxy keeps its own in Caddy's variables of the request; net/http may
	// still dial by those of one question when the next is asked
	if vars, ok := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
		ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, maps.Clone(vars))
	}
	p := &parts{url: url.URL{Path: q.path}, values: [3]string{"application/json", "application/json", q.conversation}}
	out := q.r.WithContext(ctx)
	out.Method, out.URL, out.RequestURI, out.Host = q.method, &p.url, q.path, q.host
	out.Trailer, out.TransferEncoding = nil, nil
	out.Body, out.ContentLength = http.NoBody, int64(q.body.Len())
	out.Header = http.Header{"Accept": p.values[0:1:1]}
	if out.ContentLength > 0 {
		p.body.rest = q.body
		out.Body = &p.body
		out.Header["Content-Type"] = p.values[1:2:2]
	}
	if q.conversation != "" {
		out.Header["X-Conversation-Id"] = p.values[2:3:3]
	}
	for _, name := range [...]string{"X-Request-Id", "Traceparent", "Tracestate"} {
		if values := q.r.Header[name]; len(values) > 0 {
			out.Header[name] = values
		}
	}
	return out
}
