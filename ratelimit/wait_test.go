package ratelimit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// server serves the throttle over TCP, HTTP/1.1 and HTTP/2, and passes on to next.
func server(t *testing.T, throttle *Throttle, next caddyhttp.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
		caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "192.0.2.1")
		if err := throttle.ServeHTTP(w, r, next); err != nil {
			if he, ok := err.(caddyhttp.HandlerError); ok {
				w.WriteHeader(he.StatusCode)
			}
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// until waits for what another goroutine brings about.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never came about: " + what)
		}
	}
}

// full is a throttle whose only slot is taken until free is called.
func full(t *testing.T) (throttle *Throttle, free func()) {
	t.Helper()
	throttle = load(t, newContext(t), `{"concurrency":1,"per_client":1,"queue":{"places":5,"wait":"1m"}}`)
	release, ended := make(chan struct{}), make(chan struct{})
	begun := make(chan struct{})
	go func() {
		defer close(ended)
		ask(throttle, "192.0.2.9", func(http.ResponseWriter, *http.Request) error {
			close(begun)
			<-release
			return nil
		})
	}()
	<-begun
	freed := false
	free = func() {
		if !freed {
			freed = true
			close(release)
			<-ended
		}
	}
	t.Cleanup(free)
	return throttle, free
}

func TestAClientThatLeavesTheQueueIsDroppedAtOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		http2 bool
		body  int
	}{
		{"HTTP 1.1, no body", false, 0},
		{"HTTP 1.1, a short body", false, 100},
		{"HTTP 1.1, a conversation with an image", false, 1_000_000},
		{"HTTP 2, no body", true, 0},
		{"HTTP 2, a body longer than is read ahead", true, 3 << 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			throttle, _ := full(t)
			s := server(t, throttle, func(http.ResponseWriter, *http.Request) error {
				t.Error("a request is served whose client has left")
				return nil
			})
			client := s.Client()
			if !test.http2 {
				transport := client.Transport.(*http.Transport)
				transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
				transport.ForceAttemptHTTP2 = false
			}
			ctx, leave := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(make([]byte, test.body)))
				if resp, err := client.Do(req); err == nil {
					resp.Body.Close()
				}
			}()
			until(t, "the request waits", func() bool { return throttle.zone.Waiting() == 1 })
			left := time.Now()
			leave()
			until(t, "the request is dropped", func() bool { return throttle.zone.Waiting() == 0 })
			if took := time.Since(left); took > time.Second { // of the minute that it may wait
				t.Errorf("it took %v", took)
			}
			<-ended
			if n := throttle.zone.InFlight(); n != 1 {
				t.Errorf("%d in flight, want the one that has the slot", n)
			}
		})
	}
}

// rawRequest sends what it is given over a connection of its own, HTTP/1.1.
func rawRequest(t *testing.T, s *httptest.Server, text string) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{
		RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com", NextProtos: []string{"http/1.1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestAClientThatLeavesBeforeItsBodyIsSentIsDroppedAtOnce(t *testing.T) {
	for name, text := range map[string]string{
		"with nothing of the body":      "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 100\r\n\r\n",
		"with a part of the body":       "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 100\r\n\r\n{",
		"with a part of a chunked body": "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"waiting to be told to go on":   "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			throttle, _ := full(t)
			s := server(t, throttle, func(http.ResponseWriter, *http.Request) error {
				t.Error("a request is served whose client has left")
				return nil
			})
			conn := rawRequest(t, s, text)
			until(t, "the request waits", func() bool { return throttle.zone.Waiting() == 1 })
			conn.NetConn().Close() // without a word, as one that is killed
			left := time.Now()
			until(t, "the request is dropped", func() bool { return throttle.zone.Waiting() == 0 })
			if took := time.Since(left); took > time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Else a client could hold a place in the queue as long as it likes.
func TestABodyThatDoesNotComeMakesNobodyWaitLonger(t *testing.T) {
	throttle, _ := full(t)
	throttle.policy.QueueWait = 100 * time.Millisecond
	s := server(t, throttle, with(200))
	conn := rawRequest(t, s, "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 100\r\n\r\n{")
	until(t, "the request waits", func() bool { return throttle.zone.Waiting() == 1 })
	since := time.Now()
	until(t, "its time is up", func() bool { return throttle.zone.Waiting() == 0 })
	if took := time.Since(since); took > time.Second {
		t.Errorf("it waited %v, want 100 ms", took)
	}
	// and it is told so, although its body has not come
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusTooManyRequests || !answer.Close {
		t.Errorf("the answer is %+v, %v; want 429 on a connection that is closed then", answer, err)
	}
}

// The slot is its client's then: what comes of the body is for whoever is served.
func TestABodyThatComesWhileItsRequestIsServed(t *testing.T) {
	throttle, free := full(t)
	got := make(chan string, 1)
	s := server(t, throttle, func(w http.ResponseWriter, r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		got <- fmt.Sprintf("%s %v", body, err)
		return nil
	})
	conn := rawRequest(t, s, "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 9\r\n\r\nbegin")
	until(t, "the request waits", func() bool { return throttle.zone.Waiting() == 1 })
	free()
	until(t, "the request has the slot", func() bool { return throttle.zone.InFlight() == 1 && throttle.zone.Waiting() == 0 })
	if _, err := io.WriteString(conn, "ning"); err != nil {
		t.Fatal(err)
	}
	if body := <-got; body != "beginning <nil>" {
		t.Errorf("the body that arrives: %s", body)
	}
}

func TestABodyThatWaitedArrivesWhole(t *testing.T) {
	for _, how := range []struct {
		name            string
		http2           bool
		chunked, expect bool
	}{
		{"HTTP 1.1", false, false, false},
		{"HTTP 1.1, in chunks", false, true, false},
		{"HTTP 1.1, sent when told to go on", false, false, true},
		{"HTTP 2", true, false, false},
	} {
		for _, size := range []int{0, 1, 1000, readAhead - 1, readAhead, readAhead + 1, 3 * readAhead} {
			t.Run(fmt.Sprintf("%s, %d bytes", how.name, size), func(t *testing.T) {
				throttle, free := full(t)
				sent := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
				s := server(t, throttle, func(w http.ResponseWriter, r *http.Request) error {
					got, err := io.ReadAll(r.Body)
					if err != nil || !bytes.Equal(got, sent) {
						t.Errorf("%d bytes came of %d: %v", len(got), size, err)
					}
					if (r.ProtoMajor == 2) != how.http2 {
						t.Errorf("by HTTP %d", r.ProtoMajor)
					}
					w.WriteHeader(http.StatusNoContent)
					return nil
				})
				transport := s.Client().Transport.(*http.Transport)
				if !how.http2 {
					transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
					transport.ForceAttemptHTTP2 = false
				}
				transport.ExpectContinueTimeout = time.Minute
				answer := make(chan int, 1)
				go func() {
					var body io.Reader = bytes.NewReader(sent)
					if how.chunked {
						body = struct{ io.Reader }{body} // whose length nobody can know
					}
					req, _ := http.NewRequest(http.MethodPost, s.URL, body)
					if how.expect {
						req.Header.Set("Expect", "100-continue")
					}
					resp, err := s.Client().Do(req)
					if err != nil {
						t.Error(err)
						answer <- 0
						return
					}
					resp.Body.Close()
					answer <- resp.StatusCode
				}()
				until(t, "the request waits", func() bool { return throttle.zone.Waiting() == 1 })
				free()
				if status := <-answer; status != http.StatusNoContent {
					t.Errorf("status %d", status)
				}
			})
		}
	}
}

func TestABodyThatBreaksOffBreaksOffForWhoReadsIt(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		left bool
	}{
		{"the connection is closed", net.ErrClosed, true},
		{"the connection is reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		{"the connection ends", io.ErrUnexpectedEOF, true},
		{"the body takes longer than the server allows", os.ErrDeadlineExceeded, false},
		{"the body is badly chunked", errors.New("malformed chunked encoding"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest("192.0.2.1")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("beginning"), failing{test.err}))
			ctx, end := startAhead(httptest.NewRecorder(), r)
			defer end()
			got, err := io.ReadAll(r.Body)
			if string(got) != "beginning" || err != test.err {
				t.Errorf("read %q, %v", got, err)
			}
			if (ctx.Err() != nil) != test.left {
				t.Errorf("the client is taken to have left: %v", ctx.Err() != nil)
			}
		})
	}
}

func TestWhoseBodyIsReadAhead(t *testing.T) {
	for _, test := range []struct {
		name  string
		major int
		body  io.ReadCloser
		ahead bool
	}{
		{"a body of HTTP/1", 1, io.NopCloser(strings.NewReader("body")), true},
		{"no body of HTTP/1", 1, http.NoBody, false},
		{"nil", 1, nil, false},
		{"a body of HTTP/2, which tells without that when its client leaves", 2, io.NopCloser(strings.NewReader("body")), false},
		{"a body of HTTP/3", 3, io.NopCloser(strings.NewReader("body")), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest("192.0.2.1")
			r.ProtoMajor, r.Body = test.major, test.body
			_, end := startAhead(httptest.NewRecorder(), r)
			defer end()
			if ahead := r.Body != test.body; ahead != test.ahead {
				t.Errorf("it is read ahead: %v", ahead)
			}
		})
	}
}

// Whoever counts what was read of a body looks when the request has ended.
func TestNobodyReadsWhenTheRequestHasEnded(t *testing.T) {
	reading, writing := io.Pipe()
	defer writing.Close()
	a := &ahead{body: reading, done: make(chan struct{}), interrupt: func() error {
		return writing.CloseWithError(os.ErrDeadlineExceeded)
	}}
	go a.read(func() { t.Error("the client is taken to have left") })
	a.end()
	select {
	case <-a.done:
	default:
		t.Error("the body is still being read")
	}

	unstoppable, never := io.Pipe()
	a = &ahead{body: unstoppable, done: make(chan struct{}), interrupt: func() error { return http.ErrNotSupported }}
	go a.read(func() {})
	a.end() // and does not hang
	never.Close()
}

// failing is a reader that cannot read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestTheRecordTellsHowLongARequestWaited(t *testing.T) {
	throttle, free := full(t)
	r, rec := newRequest("192.0.2.1"), new(record.Record)
	r = r.WithContext(record.NewContext(r.Context(), rec))
	got := make(chan answered, 1)
	go func() { got <- serve(throttle, r, with(200)) }()
	until(t, "the request waits", func() bool { return throttle.zone.Waiting() == 1 })
	free()
	if a := <-got; a.status != 200 || rec.QueueWait <= 0 {
		t.Errorf("status %d, waited %v", a.status, rec.QueueWait)
	}
}

func TestWhoLeavesWhileWaitingIsRecordedAsGone(t *testing.T) {
	throttle, _ := full(t)
	r, rec := newRequest("192.0.2.1"), new(record.Record)
	ctx, leave := context.WithCancel(record.NewContext(r.Context(), rec))
	leave()
	if a := serve(throttle, r.WithContext(ctx), with(200)); a.passed || a.status != record.StatusClientGone || rec.Reason != record.ClientGone {
		t.Errorf("passed %v, status %d, reason %q", a.passed, a.status, rec.Reason)
	}
}

func TestARequestThatIsCancelledInTheQueueIsNoClientsDoing(t *testing.T) {
	throttle, free := full(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	rec := new(record.Record)
	r := newRequest("192.0.2.1")
	r = r.WithContext(record.NewContext(context.WithValue(ctx, caddyhttp.VarsCtxKey, r.Context().Value(caddyhttp.VarsCtxKey)), rec))
	answers := make(chan answered, 1)
	go func() { answers <- serve(throttle, r, with(200)) }()
	until(t, "a request waits", func() bool { return throttle.zone.Waiting() == 1 })
	cancel(record.ErrCancelled)
	a := <-answers
	fault, _ := errors.AsType[*openai.Error](a.err)
	if a.status != 503 || a.passed || rec.Reason != record.Cancelled || fault == nil || fault.Code != "cancelled" {
		t.Errorf("status %d, reason %q, %v", a.status, rec.Reason, a.err)
	}
	free()
	if a := ask(throttle, "192.0.2.1", with(200)); a.status != 200 || throttle.zone.Waiting() != 0 || throttle.zone.InFlight() != 0 {
		t.Errorf("then status %d, %d wait, %d in flight", a.status, throttle.zone.Waiting(), throttle.zone.InFlight())
	}
}
