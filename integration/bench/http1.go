package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
)

// http1 is a client that speaks HTTP/1.1.
type http1 struct {
	target *target
	conn   net.Conn
	reader *bufio.Reader
	buffer []byte
}

func newHTTP1(t *target) (*http1, error) {
	c := &http1{target: t}
	return c, c.reconnect()
}

func (c *http1) reconnect() error {
	if c.conn != nil {
		c.close()
	}
	conn, err := dial(c.target)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", c.target.name, err)
	}
	c.conn, c.reader = conn, bufio.NewReaderSize(conn, 16<<10)
	return nil
}

// dial opens a connection, with the handshake done.
func dial(t *target) (net.Conn, error) {
	conn, err := net.Dial("tcp", t.address)
	if err != nil || t.tls == nil {
		return conn, err
	}
	secured := tls.Client(conn, t.tls)
	if err := secured.Handshake(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

func (c *http1) close() { _ = c.conn.Close() }

func (c *http1) send(r request, by sender) (status int, body io.ReadCloser, err error) {
	if err := c.post(r, by); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, resp.Body, nil
}

// post sends the request alone.
func (c *http1) post(r request, by sender) error {
	c.buffer = r.appendTo(c.buffer[:0], by)
	_, err := c.conn.Write(c.buffer)
	return err
}
