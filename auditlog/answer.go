package auditlog

import (
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// answer is what a request is answered with. It knows its status, and has the request's id
// whatever others have put there.
type answer struct {
	caddyhttp.ResponseWriterWrapper
	id      string
	status  int  // 0: none yet
	decided bool // no other status can follow
}

// Status is the status that was written last, 0 if none was.
func (a *answer) Status() int { return a.status }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.decided {
		return
	}
	a.status = status
	a.decided = status < 100 || status > 199
	// just before the header goes out: an upstream may have added its own id
	if ids := a.Header()["X-Request-Id"]; len(ids) != 1 || ids[0] != a.id {
		a.Header().Set("X-Request-Id", a.id)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (a *answer) ReadFrom(r io.Reader) (int64, error) {
	a.WriteHeader(http.StatusOK)
	return a.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError flushes what was written. Where nothing was, not even a status, it leaves the
// status to who comes: a flush would make it 200.
func (a *answer) FlushError() error {
	if a.status == 0 {
		return nil
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Interface guards
var (
	_ http.ResponseWriter = (*answer)(nil)
	_ io.ReaderFrom       = (*answer)(nil)
)
