package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// leavings is what the upstream says of clients that leave: the times when it began to
// answer one, and when it noticed that one had gone.
type leavings struct {
	began, left chan time.Time
}

const (
	beganWord = "began"
	leftWord  = "left"
)

// tell writes what the upstream has to say of its model that clients leave.
func tell(out io.Writer, word string) func(model string, at time.Time) {
	return func(model string, at time.Time) {
		if model == leaveModel {
			fmt.Fprintf(out, "%s %s\n", word, at.Format(time.RFC3339Nano))
		}
	}
}

// readLeavings reads what the upstream tells, until it ends.
func readLeavings(from io.Reader) *leavings {
	const room = 1000 // more than there are at once
	l := &leavings{began: make(chan time.Time, room), left: make(chan time.Time, room)}
	go func() {
		for lines := bufio.NewScanner(from); lines.Scan(); {
			word, text, _ := strings.Cut(lines.Text(), " ")
			at, err := time.Parse(time.RFC3339Nano, text)
			switch {
			case err == nil && word == beganWord:
				l.began <- at
			case err == nil && word == leftWord:
				l.left <- at
			}
		}
	}()
	return l
}

// soonEnough is how long the upstream may take to notice anything.
const soonEnough = 5 * time.Second

func wait(what string, events <-chan time.Time) (time.Time, error) {
	select {
	case at := <-events:
		return at, nil
	case <-time.After(soonEnough):
		return time.Time{}, fmt.Errorf("after %v the upstream still has not seen a client's request %s", soonEnough, what)
	}
}

// leaving asks over one connection, leaves before the answer is complete, and measures
// when the upstream notices; again and again.
func leaving(s *session, duration time.Duration) (sample, error) {
	c, ok := s.clients[0].(*http1)
	if !ok {
		return sample{}, errors.New("only clients of HTTP/1.1 leave")
	}
	var latencies []time.Duration
	total, err := s.measure(func() error {
		for end := time.Now().Add(duration); time.Now().Before(end); {
			took, err := s.leave(c)
			if err != nil {
				return err
			}
			latencies = append(latencies, took)
		}
		return nil
	})
	total.latencies = latencies
	return total, err
}

// leave asks once. Who waits for a stream has its first token when he leaves.
func (s *session) leave(c *http1) (time.Duration, error) {
	if err := c.reconnect(); err != nil {
		return 0, err
	}
	if err := c.post(s.request, s.sender(s.request)); err != nil {
		return 0, err
	}
	if _, err := wait("begin", s.leavings.began); err != nil {
		return 0, err
	}
	if s.request.tokens > 0 {
		for {
			line, err := c.reader.ReadSlice('\n')
			if err != nil {
				return 0, err
			}
			if bytes.Contains(line, []byte(ollamatest.SentMark)) {
				break
			}
		}
	}
	left := time.Now()
	c.close()
	noticed, err := wait("end", s.leavings.left)
	return noticed.Sub(left), err
}
