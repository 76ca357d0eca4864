package ollamaadapter_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// cancel cancels the first request, as an operator does.
func (g *gateway) cancel(t *testing.T) {
	t.Helper()
	within(t, g.cancels, "the request")()
}

// wasCancelled checks what the record says of the request, and that Ollama has stopped.
func wasCancelled(t *testing.T, g *gateway, upstream *ollamatest.Request) ending {
	t.Helper()
	within(t, upstream.Ended(), "Ollama's end")
	if !upstream.Cancelled() {
		t.Error("Ollama has answered to the end")
	}
	end := g.ended(t)
	if end.Reason != record.Cancelled {
		t.Errorf("reason %q", end.Reason)
	}
	return end
}

func TestARequestIsCancelledBeforeTheFirstByte(t *testing.T) {
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) {
			g, server := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{Content: []string{"a"}, Pace: make(chan struct{})}))
			go func() {
				server.WaitFor(1)
				(<-g.cancels)()
			}()
			resp := g.post(t, body)
			if _, code := failure(t, resp); resp.StatusCode != http.StatusServiceUnavailable || code != "cancelled" {
				t.Errorf("%s, code %q", resp.Status, code)
			}
			wasCancelled(t, g, arrived(t, server))
		})
	}
}

func TestARequestIsCancelledMidStream(t *testing.T) {
	for _, test := range []struct {
		name, path, body string
		end              string
	}{
		{"a chat", "/v1/chat/completions", saying(`"stream":true`), `data: {"error":{"message":"the operator of this server has ended the request","type":"server_error","param":null,"code":"cancelled"}}` + "\n\n"},
		{"in Ollama's dialect", "/api/chat", saying(`"stream":true`), `{"error":"the operator of this server has ended the request"}` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			pace := make(chan struct{})
			g, server := start(t, ollamaadapter.Handler{Native: true}, answers(ollamatest.Answer{Content: []string{"one", "two", "three"}, Pace: pace}))
			go func() { pace <- struct{}{} }()
			resp := g.do(t, t.Context(), http.MethodPost, test.path, test.body)
			var got strings.Builder
			for piece := make([]byte, 4096); !strings.Contains(got.String(), "one"); {
				n, err := resp.Body.Read(piece)
				if got.Write(piece[:n]); err != nil {
					t.Fatal(err)
				}
			}
			g.cancel(t)
			rest, err := io.ReadAll(resp.Body)
			if err != nil || string(rest) != test.end {
				t.Errorf("ends with %q, %v", rest, err)
			}
			end := wasCancelled(t, g, arrived(t, server))
			if end.status != 200 || end.Usage == nil || *end.Usage != (record.Usage{OutputTokens: 1, Estimated: true}) {
				t.Errorf("status %d, usage %+v", end.status, end.Usage)
			}
		})
	}
}

func TestAWholeAnswerIsCancelledMidway(t *testing.T) {
	pace := make(chan struct{})
	g, server := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{Content: []string{"a", "b"}, Pace: pace}))
	go func() {
		pace <- struct{}{}
		(<-g.cancels)()
	}()
	resp := g.post(t, saying(""))
	if _, code := failure(t, resp); resp.StatusCode != http.StatusServiceUnavailable || code != "cancelled" {
		t.Errorf("%s, code %q", resp.Status, code)
	}
	wasCancelled(t, g, arrived(t, server))
}

// What has begun and cannot say that it fails is broken off.
func TestAWholeAnswerIsCancelledBehindHeartbeats(t *testing.T) {
	beat := caddy.Duration(10 * time.Millisecond)
	g, server := start(t, ollamaadapter.Handler{Heartbeat: &beat, HeartbeatJSON: true}, answers(ollamatest.Answer{Content: []string{"a"}, Pace: make(chan struct{})}))
	resp := g.post(t, saying(""))
	g.cancel(t)
	if rest, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("ends as if it were whole: %q", rest)
	}
	wasCancelled(t, g, arrived(t, server))
}

func TestARequestIsCancelledWhileItsModelIsLoaded(t *testing.T) {
	g, server := start(t, ollamaadapter.Handler{}, ollamatest.Model{Name: "m", Load: make(chan struct{})})
	go func() {
		server.WaitForLoad(1)
		(<-g.cancels)()
	}()
	resp := g.post(t, saying(`"stream":true`))
	if _, code := failure(t, resp); resp.StatusCode != http.StatusServiceUnavailable || code != "cancelled" {
		t.Errorf("%s, code %q", resp.Status, code)
	}
	load := server.Loads()[0]
	within(t, load.Ended(), "the end of the load")
	if end := g.ended(t); !load.Aborted() || end.Reason != record.Cancelled {
		t.Errorf("aborted: %v, reason %q", load.Aborted(), end.Reason)
	}
}

func TestWhatIsAnsweredToTheEndIsNotCancelled(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{
		Content: []string{"a"}, Fault: ollamatest.Stall, FaultAt: ollamatest.AfterDone,
	}))
	events := eventsOf(g.post(t, saying(`"stream":true`)))
	for event := events.next(t); event != "[DONE]"; event = events.next(t) {
		if event == "" {
			t.Fatal("the stream has no end")
		}
	}
	g.cancel(t)
	if end := g.ended(t); end.Reason != "" || end.err != nil {
		t.Errorf("reason %q, error %v", end.Reason, end.err)
	}
}

// silent is an upstream that takes every question and answers none; asked tells of each.
func silent(t *testing.T) (address string, asked <-chan string) {
	t.Helper()
	paths := make(chan string, 16)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), paths
}

func TestAQuestionAboutModelsIsCancelled(t *testing.T) {
	for _, path := range []string{"/v1/models", "/v1/models/m", "/api/ps"} {
		t.Run(path, func(t *testing.T) {
			address, asked := silent(t)
			g := inFront(t, ollamaadapter.Handler{Native: true}, address)
			go func() {
				<-asked
				(<-g.cancels)()
			}()
			resp := g.do(t, t.Context(), http.MethodGet, path, "")
			if body := read(t, resp); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "the operator of this server has ended the request") {
				t.Errorf("%s: %s", resp.Status, body)
			}
			if end := g.ended(t); end.Reason != record.Cancelled {
				t.Errorf("reason %q", end.Reason)
			}
		})
	}
}

// Nor is it the client's doing if the process ends, or Ollama says nothing at all.
func TestAQuestionAboutModelsEndsHere(t *testing.T) {
	for _, test := range []struct {
		name    string
		adapter ollamaadapter.Handler
		end     func() // while Ollama is silent
		status  int
		says    string
		reason  string
	}{
		{"with the process", ollamaadapter.Handler{}, ollamaadapter.Stop, http.StatusServiceUnavailable, "this server is shutting down", record.ShuttingDown},
		{"at first_byte_timeout", ollamaadapter.Handler{FirstByteTimeout: lasting(brief)}, func() {}, http.StatusGatewayTimeout, "took too long", record.UpstreamStalled},
	} {
		t.Run(test.name, func(t *testing.T) {
			address, asked := silent(t)
			test.adapter.Native = true
			g := inFront(t, test.adapter, address)
			go func() {
				<-asked
				test.end()
			}()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			resp := g.do(t, ctx, http.MethodGet, "/api/ps", "")
			if body := read(t, resp); resp.StatusCode != test.status || !strings.Contains(body, test.says) {
				t.Errorf("%s: %s", resp.Status, body)
			}
			if end := g.ended(t); end.Reason != test.reason {
				t.Errorf("reason %q", end.Reason)
			}
		})
	}
}

// A body that never comes cannot be cancelled by us; but it is not the client's doing then.
func TestARequestIsCancelledWhileItsBodyComes(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{}))
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	g.cancel(t)
	conn.Close()
	if end := g.ended(t); end.Reason != record.Cancelled {
		t.Errorf("reason %q", end.Reason)
	}
}

func TestWhatIsSeenOfARequestWhileItGoesOn(t *testing.T) {
	pace := make(chan struct{})
	g, _ := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{Content: []string{"a", "b"}, Pace: pace}))
	go func() { pace <- struct{}{} }()
	events := eventsOf(g.post(t, saying(`"stream":true`)))
	for story := ""; story != "a"; {
		story = told(t, events.next(t))
	}
	live := within(t, g.lives, "the request")
	shown := live.Shown()
	if shown.TimeToFirstChunk == 0 || live.Tokens() != 1 {
		t.Errorf("first chunk %v, %d tokens", shown.TimeToFirstChunk, live.Tokens())
	}
	shown.TimeToFirstChunk = 0
	if want := (record.Shown{Operation: "chat", Model: "m", Stream: true}); shown != want {
		t.Errorf("%+v, want %+v", shown, want)
	}
	g.cancel(t)
	if story := events.story(t); len(story) != 1 || story[0] != "error cancelled" {
		t.Errorf("then %q", story)
	}
	g.ended(t)
}

// The model is seen before Ollama has said anything.
func TestTheModelIsSeenWhileItIsLoaded(t *testing.T) {
	g, server := start(t, ollamaadapter.Handler{}, ollamatest.Model{Name: "m", Load: make(chan struct{})})
	go func() {
		server.WaitForLoad(1)
		if shown := (<-g.lives).Shown(); shown.Model != "m" {
			t.Errorf("%+v", shown)
		}
		(<-g.cancels)()
	}()
	failure(t, g.post(t, saying("")))
	g.ended(t)
}
