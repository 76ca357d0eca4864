package ratelimit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// readAhead is how much of a body is read while its request waits.
const readAhead = 1 << 20

// ahead is a body whose beginning is read while its request waits: net/http notices
// that a client of HTTP/1 has left only when nothing more is to come from it.
type ahead struct {
	body io.ReadCloser
	// interrupt ends a read of the body that is going on.
	interrupt func() error

	done chan struct{}
	// When done is closed, these hold what was read, and why no more: nil if there is more.
	beginning bytes.Buffer
	err       error
}

// startAhead reads the beginning of the request's body from now on. The context ends
// with the request's, or when its client leaves amid the body. end must be called
// when the request has been dealt with.
func startAhead(w http.ResponseWriter, r *http.Request) (ctx context.Context, end func()) {
	ctx, leave := context.WithCancel(r.Context())
	if r.ProtoMajor != 1 || r.Body == nil || r.Body == http.NoBody {
		return ctx, leave
	}
	a := &ahead{
		body: r.Body, done: make(chan struct{}),
		interrupt: func() error { return http.NewResponseController(w).SetReadDeadline(time.Now()) },
	}
	r.Body = a
	go a.read(leave)
	return ctx, func() { leave(); a.end() }
}

// read reads the beginning, and calls left if its client has left.
func (a *ahead) read(left func()) {
	defer close(a.done)
	if _, a.err = io.CopyN(&a.beginning, a.body, readAhead); clientLeft(a.err) {
		left()
	}
}

// clientLeft reports whether a body ended like that because there is nobody any more
// who would send the rest.
func clientLeft(err error) bool {
	if network, ok := errors.AsType[net.Error](err); ok {
		return !network.Timeout()
	}
	return errors.Is(err, io.ErrUnexpectedEOF)
}

// Read implements io.Reader. What has gone wrong is told to whoever reads that far.
func (a *ahead) Read(p []byte) (int, error) {
	<-a.done
	switch {
	case a.beginning.Len() > 0:
		return a.beginning.Read(p)
	case a.err != nil:
		return 0, a.err
	default:
		return a.body.Read(p)
	}
}

// Close implements io.Closer.
func (a *ahead) Close() error { return a.body.Close() }

// end sees to it that nobody reads any more. A client whose body does not come would
// otherwise wait for its answer as long as for the body: net/http wants to read it.
func (a *ahead) end() {
	select {
	case <-a.done:
	default:
		if a.interrupt() == nil {
			<-a.done
		}
	}
}
