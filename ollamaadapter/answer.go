package ollamaadapter

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// maxAnswer bounds an answer that is collected, in bytes.
const maxAnswer = 64 << 20

// upstreamAnswer is the ResponseWriter that the upstream's answer is written to.
// It keeps all of the answer from the client but what deliver makes of it: its
// header map is its own, and a flush of the upstream's is none of the client's.
type upstreamAnswer struct {
	header http.Header
	status int
	// deliver takes each piece of a 200's body; if nil, body collects it, as it
	// does for every other status.
	deliver func(piece []byte) error
	body    bytes.Buffer
	// begun is called when the answer begins, if it is not nil.
	begun func()
	// asking is the context of the question.
	asking context.Context
	// cut and err are how the upstream's handler has ended.
	cut bool // in the midst of the answer
	err error
}

func newUpstreamAnswer() *upstreamAnswer { return &upstreamAnswer{header: make(http.Header)} }

func (a *upstreamAnswer) Header() http.Header { return a.header }

func (a *upstreamAnswer) WriteHeader(status int) {
	if status >= 200 && a.status == 0 { // 1xx are not the answer
		a.status = status
		if a.begun != nil {
			a.begun()
		}
	}
}

var errAnswerTooLarge = errors.New("the model server's answer is too large")

func (a *upstreamAnswer) Write(piece []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.status == http.StatusOK && a.deliver != nil {
		if err := a.deliver(piece); err != nil {
			return 0, err
		}
		return len(piece), nil
	}
	if a.body.Len()+len(piece) > maxAnswer {
		return 0, errAnswerTooLarge
	}
	return a.body.Write(piece)
}

// FlushError does nothing, and so keeps reverse_proxy's flushing, part of which
// happens on another goroutine, away from the client.
func (a *upstreamAnswer) FlushError() error { return nil }

// receive runs the upstream and takes its answer. That it broke off is told by a
// panic by reverse_proxy, as by net/http's.
func (a *upstreamAnswer) receive(next caddyhttp.Handler, q question) {
	a.asking = q.r.Context()
	a.begun = func() { upstreams.see(a) }
	defer func() {
		if a.status == 0 {
			upstreams.see(a)
		}
	}()
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			a.cut = true
		} else if p != nil {
			panic(p)
		}
	}()
	a.err = next.ServeHTTP(a, q.request())
}

// fetch gets an answer that is no stream. It must be there within
// first_byte_timeout. gone means that there is nobody to answer any more.
func (h *Handler) fetch(w http.ResponseWriter, q question, next caddyhttp.Handler) (body []byte, gone bool, err error) {
	r := q.r
	watch := h.watch(r, time.Time{})
	defer watch.close()
	q.r = r.WithContext(watch.ctx)
	answer := newUpstreamAnswer()
	answer.receive(next, q)
	cause := context.Cause(watch.ctx)
	switch {
	case clientLeft(r):
		w.WriteHeader(record.StatusClientGone) // for the access log
		return nil, true, leave(r)
	case cause != nil:
		return nil, false, incomplete(r, answer.address(), cause)
	case answer.err != nil:
		return nil, false, h.unasked(w, answer.err)
	case answer.status == 0 && !answer.cut:
		return nil, false, nobodyAnswered()
	case answer.cut:
		return nil, false, incomplete(r, answer.address(), translate.ErrCutShort)
	case answer.status != http.StatusOK:
		return nil, false, h.upstreamFault(w, r, q.path, answer)
	}
	return answer.body.Bytes(), false, nil
}

// unasked is the answer when the upstream could not be asked, of which Caddy knows the
// status: 503, for example, where no upstream is healthy.
func (h *Handler) unasked(w http.ResponseWriter, err error) error {
	if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok && he.StatusCode == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", h.pace.retryAfter(""))
	}
	return err
}

// nobodyAnswered is a mistake in the Caddyfile.
func nobodyAnswered() error {
	return caddyhttp.Error(http.StatusInternalServerError, errors.New("no handler answered: put reverse_proxy behind ollama_adapter"))
}

// clientLeft reports whether the client has closed its connection.
func clientLeft(r *http.Request) bool {
	return errors.Is(r.Context().Err(), context.Canceled) && !record.WasCancelled(r.Context())
}

// leave ends a request whose client has left, or does not read what it is cancelled for.
func leave(r *http.Request) error {
	reason := record.ClientGone
	if record.WasCancelled(r.Context()) {
		reason = record.Cancelled
	}
	record.From(r.Context()).Explain(reason)
	return nil
}

// incomplete is the answer when that of the upstream at an address cannot be used.
func incomplete(r *http.Request, address string, err error) error {
	if errors.Is(err, record.ErrCancelled) {
		return cancelled(r)
	}
	reason := record.UpstreamError
	switch {
	case errors.Is(err, translate.ErrStalled):
		reason = record.UpstreamStalled
	case errors.Is(err, translate.ErrStopping):
		reason = record.ShuttingDown
	}
	status, fault := translate.AnswerFault(err)
	explainFault(r, fault)
	if status < 500 { // an engine that has looked at the request only then
		record.From(r.Context()).Explain(record.BadRequest)
		return caddyhttp.Error(status, fault)
	}
	record.From(r.Context()).Explain(reason)
	return caddyhttp.Error(status, observed(fault, address, translate.Words(err)))
}

// cancelled is the answer when the operator has ended the request.
func cancelled(r *http.Request) error {
	record.From(r.Context()).Explain(record.Cancelled)
	return caddyhttp.Error(http.StatusServiceUnavailable, openai.Cancelled())
}

// explainFault notes why the upstream refused a request, if the request is to blame.
func explainFault(r *http.Request, fault *openai.Error) {
	rec := record.From(r.Context())
	switch {
	case fault.Code == openai.CodeModelNotFound:
		rec.Explain(record.ModelNotFound)
	case fault.Code == openai.CodeContextLength:
		rec.Explain(record.ContextLengthExceeded)
	}
}

// upstreamFault is the answer when the upstream, asked at one of its paths, refused
// or failed.
func (h *Handler) upstreamFault(w http.ResponseWriter, r *http.Request, path string, answer *upstreamAnswer) error {
	status, fault := translate.UpstreamFault(path, answer.status, answer.body.Bytes())
	explainFault(r, fault)
	if status < 500 {
		return caddyhttp.Error(status, fault)
	}
	record.From(r.Context()).Explain(record.UpstreamError)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", h.pace.retryAfter(answer.header.Get("Retry-After")))
	}
	return caddyhttp.Error(status, observed(fault, answer.seen()...))
}
