package courier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// NewClient returns an HTTP client that follows no redirect: an alarm goes where the
// operator said, and nowhere else.
func NewClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 1, 1
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// attempt is what has become of one attempt.
type attempt struct {
	err     error         // nil: it was delivered
	final   bool          // another would end the same
	waiting time.Duration // what the receiver asks for
}

// post makes one attempt. Its error says nothing of the URL, which may be a secret.
func (c *Courier) post(ctx context.Context, o Options, body []byte) attempt {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return attempt{err: errors.New("no request can be made of the URL"), final: true}
	}
	req.Header = o.Header.Clone()
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	req.Header.Set("Content-Type", "application/json")
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "caddy-ollama")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // e names the URL
		}
		return attempt{err: err}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
	return attempt{
		err:     refusal(resp.StatusCode),
		final:   final(resp.StatusCode),
		waiting: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
}

func refusal(status int) error {
	if status >= 200 && status < 300 {
		return nil
	}
	return fmt.Errorf("the receiver answered %d", status)
}

// final reports whether an alarm is refused for good. A receiver that fails, or has no
// time, is asked again.
func final(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status < 500
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
