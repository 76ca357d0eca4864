package ollamatest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// script is what goes out over a connection, piece by piece.
type script struct {
	pieces   []string
	bytewise bool
	end      ending
	torn     string // what a cut leaves of the last chunk
}

// ending is how a script ends.
type ending int

const (
	complete   ending = iota
	closeEarly        // like complete, but in place of a line
	stall
	reset
	cut
)

// write sends the answer and reports whether the caller stayed for all of it.
func (a Answer) write(ctx context.Context, w http.ResponseWriter, stream bool, say sayFunc) bool {
	if a.Fault == ErrorLine && !stream {
		a.Status, a.Error = http.StatusInternalServerError, runnerFailed
	}
	if a.Status != 0 {
		writeJSON(w, a.Status, errorBody{a.Error})
		return true
	}
	contentType := "application/x-ndjson"
	if !stream {
		contentType = "application/json; charset=utf-8"
	}
	w.Header().Set("Content-Type", contentType)
	s := a.script(stream, say)
	for _, piece := range s.pieces {
		if !a.wait(ctx) || !s.send(w, piece) {
			return false
		}
	}
	if s.end == complete {
		return true
	}
	return a.wait(ctx) && s.finish(ctx, w)
}

// wait waits until the next line is due, or the caller has left.
func (a Answer) wait(ctx context.Context) bool {
	return pause(ctx, a.Pace, a.Interval)
}

// pause waits for pace, unless it is nil, and then for the interval. It reports
// whether the caller has stayed.
func pause(ctx context.Context, pace <-chan struct{}, interval time.Duration) bool {
	if pace != nil {
		select {
		case <-pace:
		case <-ctx.Done():
			return false
		}
	}
	if interval > 0 {
		timer := time.NewTimer(interval)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// send writes and flushes a piece.
func (s script) send(w http.ResponseWriter, piece string) bool {
	if s.bytewise && len(piece) > 1 {
		for i := range len(piece) {
			if !s.send(w, piece[i:i+1]) {
				return false
			}
		}
		return true
	}
	if _, err := io.WriteString(w, piece); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

// finish ends an answer that is not complete.
func (s script) finish(ctx context.Context, w http.ResponseWriter) bool {
	switch s.end {
	case stall:
		<-ctx.Done()
		return false
	case reset, cut:
		return s.hangUp(w)
	}
	return true
}

// hangUp takes the connection from net/http, which would end the answer properly.
func (s script) hangUp(w http.ResponseWriter) bool {
	if s.torn != "" && !s.send(w, "") { // the status
		return false
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is all there is to hang up
	}
	if s.torn != "" {
		_, err = fmt.Fprintf(conn, "%x\r\n%s", len(s.torn)+1, s.torn)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && s.end == reset {
		_ = tcp.SetLinger(0) // makes Close send RST
	}
	_ = conn.Close()
	return err == nil
}
