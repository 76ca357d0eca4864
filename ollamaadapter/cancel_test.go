package ollamaadapter_test

import (
	"io"
	"net/http"
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
