package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// client is one connection to a target. It does no more than it must: what it costs, the
// target does not get.
type client struct {
	target *target
	conn   net.Conn
	reader *bufio.Reader
	buffer []byte
}

func newClient(t *target) (*client, error) {
	c := &client{target: t}
	return c, c.reconnect()
}

func (c *client) reconnect() error {
	if c.conn != nil {
		_ = c.conn.Close()
	}
	conn, err := c.target.dial()
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", c.target.name, err)
	}
	c.conn, c.reader = conn, bufio.NewReaderSize(conn, 16<<10)
	return nil
}

func (c *client) close() { _ = c.conn.Close() }

// send sends the request and reads the answer's header. The body is to be read to its end.
func (c *client) send(r request, token string) (*http.Response, error) {
	c.buffer = r.appendTo(c.buffer[:0], token)
	if _, err := c.conn.Write(c.buffer); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%s answered %d: %s", c.target.name, resp.StatusCode, text)
	}
	return resp, nil
}

// ask sends the request and reads the whole answer.
func (c *client) ask(r request, token string) error {
	resp, err := c.send(r, token)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n == 0 {
		err = errors.New("an empty answer")
	}
	return err
}

// stream sends the request and calls token with the time that each token of the answer
// was sent at, until the answer ends.
func (c *client) stream(r request, bearer string, token func(sent time.Time)) error {
	resp, err := c.send(r, bearer)
	if err != nil {
		return err
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if sent, ok := sentAt(line); ok {
			token(sent)
		}
	}
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
