package ollamaadapter_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestAClientThatLeavesBeforeTheFirstByte(t *testing.T) {
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) {
			never := make(chan struct{})
			g, server := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{Content: []string{"a"}, Pace: never}))
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+"/v1/chat/completions", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			left := make(chan error, 1)
			go func() {
				resp, err := g.client.Do(req)
				if err == nil {
					resp.Body.Close()
				}
				left <- err
			}()
			upstream := arrived(t, server)
			leave()
			if err := within(t, left, "the client's own end"); err == nil {
				t.Fatal("the client got an answer")
			}
			gone(t, g, upstream)
		})
	}
}

func TestAClientThatLeavesMidStream(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer ollamatest.Answer
		events int // until the client leaves
		usage  *record.Usage
	}{
		{"after two lines", ollamatest.Answer{Content: []string{"a", "b", "c"}}, 3, &record.Usage{OutputTokens: 2, Estimated: true}},
		{"while the model thinks", ollamatest.Answer{Thinking: []string{"a", "b", "c"}}, 3, &record.Usage{OutputTokens: 2, Estimated: true}},
		{"just before the final line", ollamatest.Answer{Content: []string{"a"}}, 2, &record.Usage{OutputTokens: 1, Estimated: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			pace := make(chan struct{})
			test.answer.Pace = pace
			g, server := start(t, ollamaadapter.Handler{}, answers(test.answer))
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			go func() {
				for range test.events - 1 { // the role has no line of its own
					pace <- struct{}{}
				}
			}()
			resp := g.do(t, ctx, http.MethodPost, "/v1/chat/completions", saying(`"stream":true`))
			events := eventsOf(resp)
			for range test.events {
				events.next(t)
			}
			leave()
			end := gone(t, g, arrived(t, server))
			if end.Usage == nil || *end.Usage != *test.usage {
				t.Errorf("usage %+v, want %+v", end.Usage, test.usage)
			}
			if len(end.FinishReasons) > 0 {
				t.Errorf("finish reasons %q", end.FinishReasons)
			}
			if end.status != 200 {
				t.Errorf("status %d, want the 200 that was sent", end.status)
			}
		})
	}
}

// gone checks how a request ends whose client has left: Ollama stops its work,
// and nobody is blamed.
func gone(t *testing.T, g *gateway, upstream *ollamatest.Request) ending {
	t.Helper()
	within(t, upstream.Ended(), "Ollama's end")
	if !upstream.Cancelled() {
		t.Error("Ollama has answered to the end")
	}
	end := g.ended(t)
	if end.err != nil || end.Reason != record.ClientGone {
		t.Errorf("reason %q, error %v", end.Reason, end.err)
	}
	if end.TimeToFirstChunk == 0 && end.status != record.StatusClientGone {
		t.Errorf("status %d of an answer that never began, want %d", end.status, record.StatusClientGone)
	}
	return end
}

// SDKs close the connection at [DONE], which may be before Ollama has ended its answer.
func TestAClientThatLeavesAfterTheEndWasAnswered(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{
		Content: []string{"a"}, Fault: ollamatest.Stall, FaultAt: ollamatest.AfterDone,
	}))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	events := eventsOf(g.do(t, ctx, http.MethodPost, "/v1/chat/completions", saying(`"stream":true`)))
	for event := events.next(t); event != "[DONE]"; event = events.next(t) {
		if event == "" {
			t.Fatal("the stream has no end")
		}
	}
	leave()
	if end := g.ended(t); end.Reason != "" || end.err != nil || end.Usage == nil || end.Usage.Estimated {
		t.Errorf("reason %q, error %v, usage %+v", end.Reason, end.err, end.Usage)
	}
}
