package ratelimit

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// readAhead is how much of a body is read while its request waits.
const readAhead = 1 << 20

// wait waits for a slot. Meanwhile the body is read: net/http notices that a client
// of HTTP/1 has left only when nothing more is to come from it.
func (t *Throttle) wait(r *http.Request, place limit.Place) limit.Decision {
	since := time.Now()
	if r.ProtoMajor == 1 && r.Body != nil && r.Body != http.NoBody {
		r.Body = ahead(r.Body)
	}
	d := place.Wait(r.Context())
	waited := time.Since(since)
	record.From(r.Context()).QueueWait = waited
	t.zone.metrics.queueWait.Observe(waited.Seconds())
	return d
}

// body is one of which a part has been read.
type body struct {
	io.Reader
	io.Closer
}

// ahead reads the beginning of a body, and returns it whole. What goes wrong is
// told to whoever reads that far.
func ahead(b io.ReadCloser) io.ReadCloser {
	var read bytes.Buffer
	_, err := io.CopyN(&read, b, readAhead)
	switch err {
	case nil:
		return body{io.MultiReader(&read, b), b}
	case io.EOF:
		return body{&read, b}
	default:
		return body{io.MultiReader(&read, failing{err}), b}
	}
}

// failing is a reader that cannot read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
