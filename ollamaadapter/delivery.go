package ollamaadapter

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// answer is an answer on its way from Ollama to a client, in the form that the
// client wants. What its methods return is to be sent; it is valid until the next call.
type answer interface {
	// Write takes the next piece of Ollama's answer for a choice, CloseChoice its end.
	Write(piece []byte) (out []byte, err error)
	CloseChoice() (out []byte, err error)
	// Sent says that what was returned last is not needed any more.
	Sent()
	// CutOff ends the answer for lack of time.
	CutOff() (out []byte)
	// Heartbeat says nothing, but shows a client that there is somebody.
	Heartbeat() (out []byte)
	// Failure ends an answer that cannot be completed; nil if there is no way to
	// say so.
	Failure(*openai.Error) (out []byte)

	ChoiceDone() bool
	Stopped() bool
	Lines() int
	Summary() translate.Summary
}

// delivery brings an answer to the client as it comes, and shows signs of life as
// long as it does not.
type delivery struct {
	client      http.ResponseWriter
	record      *record.Record
	answer      answer
	contentType string
	streamed    bool
	interval    time.Duration // of heartbeats; 0: none
	logger      *zap.Logger

	mu    sync.Mutex // guards what follows, the answer and the client
	heart *time.Timer
	begun bool
	last  time.Time // something was sent
	over  bool
	bad   bool  // the upstream's answer is none, or tells of an error
	err   error // from writing to the client
}

// start starts the heartbeat.
func (d *delivery) start() {
	d.last = time.Now()
	if d.interval > 0 {
		d.mu.Lock() // the timer may fire before it is stored
		defer d.mu.Unlock()
		d.heart = time.AfterFunc(d.interval, d.beat)
	}
}

// stop ends the delivery. After it nothing is sent any more, and the answer is the
// caller's again.
func (d *delivery) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.heart != nil {
		d.heart.Stop()
	}
}

// beat sends a heartbeat if nothing was sent for the length of an interval.
func (d *delivery) beat() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over || d.err != nil {
		return
	}
	next := d.interval - time.Since(d.last)
	if next <= 0 {
		if out := d.answer.Heartbeat(); len(out) > 0 {
			d.send(out)
			d.flush()
		}
		d.sent()
		next = d.interval
	}
	d.heart.Reset(next)
}

// take takes a piece of the upstream's answer and sends what it comes to. moved says
// that it ended a line, done that the choice is complete.
func (d *delivery) take(piece []byte) (moved, done bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.answer.ChoiceDone() {
		return false, true, errStopped
	}
	lines := d.answer.Lines()
	out, err := d.answer.Write(piece)
	d.bad = err != nil
	d.record.ShowTokens(d.answer.Summary().CompletionTokens)
	if err = errors.Join(d.sendContent(out), err); err == nil && d.answer.Stopped() {
		err = errStopped
	}
	return d.answer.Lines() > lines, d.answer.ChoiceDone(), err
}

// errStopped stops an upstream that has more to say than is wanted of it.
var errStopped = errors.New("the answer is complete")

// standing is how a delivery stands.
type standing struct {
	lost bool // the client cannot be written to
	done bool // the choice is complete
	bad  bool // it has failed; closing it tells how
	said bool // the model has said something
}

func (d *delivery) standing() standing {
	d.mu.Lock()
	defer d.mu.Unlock()
	return standing{d.err != nil, d.answer.ChoiceDone(), d.bad, d.answer.Summary().CompletionTokens > 0}
}

// closeChoice says that the upstream's answer has ended.
func (d *delivery) closeChoice() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	out, err := d.answer.CloseChoice()
	return errors.Join(d.sendContent(out), err)
}

// cutOff ends the answer for lack of time.
func (d *delivery) cutOff(r *http.Request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sendContent(d.answer.CutOff()) != nil {
		return leave(r)
	}
	return nil
}

// fail ends an answer that cannot be completed: with a real status if nothing was
// sent yet, or else as its form allows.
func (d *delivery) fail(r *http.Request, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true // no heartbeat before the status, or after the error
	if !d.begun {
		return err
	}
	status := http.StatusBadGateway
	if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		status = he.StatusCode
	}
	if status < 500 {
		d.record.Explain(record.BadRequest)
	}
	d.record.Explain(record.UpstreamError)
	if upstreamFailure(d.record, nil) != "" { // nobody further out hears of it
		d.logger.Error("answer broken off", zap.Int("status", status),
			zap.String("request_id", d.client.Header().Get("X-Request-Id")), zap.Error(err))
	}
	fault, ok := errors.AsType[*openai.Error](err)
	if !ok {
		fault = openai.ErrorOf(status)
	}
	out := d.answer.Failure(fault)
	if out == nil {
		panic(http.ErrAbortHandler) // so that nobody takes what was sent for the answer
	}
	d.send(out)
	d.flush()
	if d.err != nil {
		return leave(r)
	}
	return nil
}

// leave ends a delivery whose client has left. One that has closed its half of the
// connection only still reads: it must not take what it got for the whole answer.
func (d *delivery) leave(r *http.Request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over = true; d.begun {
		_ = leave(r)
		panic(http.ErrAbortHandler)
	}
	d.client.WriteHeader(record.StatusClientGone) // for the access log
	return leave(r)
}

// sendContent sends what the model says.
func (d *delivery) sendContent(out []byte) error {
	if len(out) > 0 && d.err == nil {
		if d.streamed {
			d.countChunk(time.Since(d.record.Start))
		}
		d.send(out)
		if d.streamed {
			d.flush()
		}
	}
	d.sent()
	return d.err
}

// sent gives back the memory of what was sent. After an error the server of HTTP/2 may
// still read it.
func (d *delivery) sent() {
	if d.err == nil {
		d.answer.Sent()
	}
}

// countChunk notes in the record that a chunk of a stream was there after so long.
func (d *delivery) countChunk(after time.Duration) {
	if d.record.Chunks++; d.record.Chunks == 1 {
		d.record.TimeToFirstChunk = after
		d.record.Show()
	}
	d.record.ChunksFor = after - d.record.TimeToFirstChunk
}

// send writes to the client. The first writing begins the answer.
func (d *delivery) send(out []byte) {
	if !d.begun {
		d.begun = true
		header := d.client.Header()
		header.Set("Content-Type", d.contentType)
		if d.streamed {
			header.Set("Cache-Control", "no-cache")
			header.Set("X-Accel-Buffering", "no") // for an nginx further out
		}
		d.client.WriteHeader(http.StatusOK)
	}
	_, d.err = d.client.Write(out)
	d.last = time.Now()
}

func (d *delivery) flush() {
	if d.err != nil {
		return
	}
	err := http.NewResponseController(d.client).Flush()
	if !errors.Is(err, http.ErrNotSupported) { // else a writer in between cannot; it comes later
		d.err = err
	}
}
