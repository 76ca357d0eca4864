package ollamaadapter

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// maxAnswer bounds an answer that is not streamed, in bytes.
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
}

func (a *upstreamAnswer) Header() http.Header { return a.header }

func (a *upstreamAnswer) WriteHeader(status int) {
	if status >= 200 && a.status == 0 { // 1xx are not the answer
		a.status = status
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

// receive runs the upstream and writes its answer to a. cut is true if the
// answer broke off: reverse_proxy tells that by a panic, as does net/http's.
func (a *upstreamAnswer) receive(next caddyhttp.Handler, out *http.Request) (cut bool, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			cut = true
		} else if p != nil {
			panic(p)
		}
	}()
	return false, next.ServeHTTP(a, out)
}

// fetch gets an answer whole. gone means that there is nobody to answer any more.
func fetch(w http.ResponseWriter, out *http.Request, next caddyhttp.Handler) (body []byte, gone bool, err error) {
	answer := &upstreamAnswer{header: make(http.Header)}
	cut, err := answer.receive(next, out)
	switch {
	case clientLeft(out):
		w.WriteHeader(record.StatusClientGone) // for the access log
		return nil, true, leave(out)
	case err != nil:
		return nil, false, err
	case answer.status == 0 && !cut:
		return nil, false, nobodyAnswered()
	case cut:
		return nil, false, incomplete(out, translate.ErrCutShort)
	case answer.status != http.StatusOK:
		return nil, false, upstreamFault(out, answer.status, answer.body.Bytes())
	}
	return answer.body.Bytes(), false, nil
}

// errComplete ends the reading of an upstream that goes on after its answer's end.
var errComplete = errors.New("the answer is complete")

// sendStream passes an answer on as it comes, choice after choice.
func sendStream(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, exchange *translate.Exchange, stream *translate.Stream) error {
	client := &eventWriter{client: w, record: record.From(r.Context())}
	defer func() {
		note(r, stream.Summary())
		noteCut(r, exchange, stream.Summary())
	}()
	for _, native := range exchange.Requests {
		out, err := upstreamJSON(r, exchange.Path, native)
		if err != nil {
			return err
		}
		if ended, err := client.streamChoice(out, next, stream); ended || err != nil {
			return err
		}
	}
	return nil
}

// streamChoice passes one choice on. ended is true if it was the last thing that
// the client could be sent.
func (e *eventWriter) streamChoice(out *http.Request, next caddyhttp.Handler, stream *translate.Stream) (ended bool, err error) {
	answer := &upstreamAnswer{header: make(http.Header)}
	answer.deliver = func(piece []byte) error {
		if stream.ChoiceDone() {
			return errComplete
		}
		events, err := stream.Write(piece)
		return errors.Join(e.send(events), err)
	}
	cut, err := answer.receive(next, out)
	if err == nil && answer.status == 0 && !cut {
		return true, nobodyAnswered()
	}
	if err == nil && answer.status == http.StatusOK {
		var events []byte
		events, err = stream.CloseChoice()
		err = errors.Join(e.send(events), err)
		if err == nil {
			return false, nil
		}
	}
	switch {
	case e.err != nil, clientLeft(out):
		if !e.begun {
			e.client.WriteHeader(record.StatusClientGone) // for the access log
		}
		return true, leave(out)
	case e.begun:
		return true, e.fail(out, err)
	case answer.status == 0 && err != nil:
		return true, err // the upstream could not be asked: Caddy knows the status
	case answer.status != http.StatusOK:
		return true, upstreamFault(out, answer.status, answer.body.Bytes())
	default:
		return true, incomplete(out, err)
	}
}

// fail ends a stream that was begun and cannot be completed.
func (e *eventWriter) fail(out *http.Request, err error) error {
	e.record.Explain(record.UpstreamError)
	_, fault := translate.AnswerFault(err)
	if e.send(translate.FailureEvent(fault)) != nil {
		return leave(out)
	}
	return nil
}

// nobodyAnswered is a mistake in the Caddyfile.
func nobodyAnswered() error {
	return caddyhttp.Error(http.StatusInternalServerError, errors.New("no handler answered: put reverse_proxy behind ollama_adapter"))
}

// clientLeft reports whether the client has closed its connection.
func clientLeft(r *http.Request) bool { return errors.Is(r.Context().Err(), context.Canceled) }

// leave ends a request whose client has left.
func leave(r *http.Request) error {
	record.From(r.Context()).Explain(record.ClientGone)
	return nil
}

// eventWriter sends events to the client.
type eventWriter struct {
	client      http.ResponseWriter
	record      *record.Record
	contentType string // text/event-stream, if empty
	begun       bool
	err         error // from writing to the client
}

// send writes and flushes events, if there are any. The first ones begin the answer.
func (e *eventWriter) send(events []byte) error {
	if len(events) == 0 || e.err != nil {
		return e.err
	}
	if !e.begun {
		e.begun = true
		e.record.TimeToFirstChunk = time.Since(e.record.Start)
		header := e.client.Header()
		header.Set("Content-Type", cmp.Or(e.contentType, "text/event-stream"))
		header.Set("Cache-Control", "no-cache")
		header.Set("X-Accel-Buffering", "no") // for an nginx further out
		e.client.WriteHeader(http.StatusOK)
	}
	if _, e.err = e.client.Write(events); e.err == nil {
		e.err = http.NewResponseController(e.client).Flush()
	}
	if errors.Is(e.err, http.ErrNotSupported) {
		e.err = nil // a writer in between that cannot flush; the events come later
	}
	return e.err
}
