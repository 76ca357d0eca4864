package ollamatest

import (
	"bufio"
	"errors"
	"io"
	"time"
)

// errClientLeft ends an answer that nobody waits for any more.
var errClientLeft = errors.New("the client has left")

// slowly answers at the model's pace, and notices, as Ollama does, when the client
// closes the connection before the answer is complete.
func (f *Fast) slowly(conn io.Writer, reader *bufio.Reader, m fastModel, shape fastShape, streamed bool) error {
	if f.Began != nil {
		f.Began(m.Name, time.Now())
	}
	var at time.Time
	left, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		// what comes next is the next request, or the end
		if _, err := reader.Peek(1); err != nil {
			at = time.Now()
			close(left)
		}
	}()
	if err := f.paced(conn, m, shape, streamed, left); err != nil {
		<-left // also if writing failed before reading did
		if f.Left != nil {
			f.Left(m.Name, at)
		}
		return err
	}
	<-watched // the reader is the next request's now
	return nil
}

func (f *Fast) paced(conn io.Writer, m fastModel, shape fastShape, streamed bool, left <-chan struct{}) error {
	due := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait := func(d time.Duration) error {
		due = due.Add(d)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
			return nil
		case <-left:
			return errClientLeft
		}
	}
	if !streamed {
		if err := wait(time.Duration(m.Tokens) * m.Interval); err != nil {
			return err
		}
		_, err := conn.Write(shape.object)
		return err
	}
	next := phase(f.streams.Add(1), m.Interval)
	return m.stream(conn, shape, func() error {
		d := next
		next = m.Interval
		return wait(d)
	})
}

// phase is a part of the interval: those of consecutive n are spread over it evenly, for
// they are multiples of the golden section.
func phase(n uint64, interval time.Duration) time.Duration {
	const goldenSection = 0x9e3779b97f4a7c15 // of 2^64
	return time.Duration(float64(n*goldenSection>>11) / (1 << 53) * float64(interval))
}
