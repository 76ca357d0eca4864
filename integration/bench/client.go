package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// client is a connection to a target, for one request at a time. It does no more than it
// must: what it costs, the target does not get.
type client interface {
	// send sends the request and reads the answer's header. The body is to be read to its
	// end, and closed.
	send(r request, by sender) (status int, body io.ReadCloser, err error)
	// reconnect goes on with a new connection.
	reconnect() error
	close()
}

// newClient connects over HTTP/1.1, or over HTTP/2.
func newClient(t *target, http2 bool) (client, error) {
	if http2 {
		return newHTTP2(t)
	}
	return newHTTP1(t)
}

// ask sends the request and reads the whole answer.
func ask(c client, r request, by sender) error {
	status, body, err := c.send(r, by)
	if err != nil {
		return err
	}
	defer body.Close()
	if status != r.status {
		return refused(status, body)
	}
	n, err := io.Copy(io.Discard, body)
	if err == nil && n < int64(r.least) {
		err = fmt.Errorf("an answer of %d bytes is not complete", n)
	}
	return err
}

func refused(status int, body io.Reader) error {
	text, _ := io.ReadAll(io.LimitReader(body, 4<<10))
	return fmt.Errorf("the answer is %d: %s", status, text)
}

// stream sends the request and calls token with the time that each token of the answer
// was sent at. A stream that ends without having been complete is an error.
func stream(c client, r request, by sender, token func(sent time.Time)) error {
	status, body, err := c.send(r, by)
	if err != nil {
		return err
	}
	defer body.Close()
	if status != r.status {
		return refused(status, body)
	}
	tokens, complete := 0, false
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if sent, ok := sentAt(line); ok {
			tokens++
			token(sent)
		} else if bytes.HasPrefix(line, []byte("data: [DONE]")) {
			complete = true
		}
	}
	if !complete || tokens != r.tokens {
		return fmt.Errorf("a stream of %d tokens, want %d and then [DONE]: %t", tokens, r.tokens, complete)
	}
	return nil
}

// sentAt reads when the upstream sent the token in this line, if there is one.
func sentAt(line []byte) (time.Time, bool) {
	i := bytes.Index(line, []byte(ollamatest.SentMark))
	if i < 0 {
		return time.Time{}, false
	}
	i += len(ollamatest.SentMark)
	if len(line) < i+ollamatest.SentDigits {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(string(line[i:i+ollamatest.SentDigits]), 10, 64)
	return time.Unix(0, n), err == nil
}
