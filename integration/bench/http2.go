package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// http2 is a client that speaks HTTP/2. It is Go's own, which costs more than that for
// HTTP/1.1: compare what the target's process costs.
type http2 struct {
	target *target
	conn   *http.ClientConn
}

func newHTTP2(t *target) (*http2, error) {
	c := &http2{target: t}
	return c, c.reconnect()
}

func (c *http2) reconnect() (err error) {
	if c.conn != nil {
		c.close()
	}
	transport := &http.Transport{TLSClientConfig: c.target.tls.Clone(), Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP2(true)
	c.conn, err = transport.NewClientConn(context.Background(), "https", c.target.address)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", c.target.name, err)
	}
	return nil
}

func (c *http2) close() { _ = c.conn.Close() }

func (c *http2) send(r request, by sender) (status int, body io.ReadCloser, err error) {
	req, err := http.NewRequest(r.method, "https://"+host+r.path, strings.NewReader(r.body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = http.Header{
		"User-Agent": {"bench"}, "Accept": {"application/json"}, "Content-Type": {"application/json"},
		"Authorization": {"Bearer " + by.token},
	}
	if by.from != "" {
		req.Header.Set("X-Forwarded-For", by.from)
	}
	resp, err := c.conn.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	if resp.ProtoMajor != 2 {
		_ = resp.Body.Close()
		return 0, nil, fmt.Errorf("%s answered over %s", c.target.name, resp.Proto)
	}
	return resp.StatusCode, resp.Body, nil
}
