package ollamaadapter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestStreams(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hello", " world"))
	for _, test := range []struct {
		name, fields string
		want         []string
	}{
		{"text", `"stream":true`, []string{"role assistant", "hello", " world", "finish stop", "[DONE]"}},
		{"usage, if asked for", `"stream":true,"stream_options":{"include_usage":true}`,
			[]string{"role assistant", "hello", " world", "finish stop", "usage", "[DONE]"}},
		{"no usage, if refused", `"stream":true,"stream_options":{"include_usage":false}`,
			[]string{"role assistant", "hello", " world", "finish stop", "[DONE]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp := g.post(t, saying(test.fields))
			if resp.StatusCode != 200 {
				t.Fatalf("%s: %s", resp.Status, read(t, resp))
			}
			for name, want := range map[string]string{
				"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no", "Content-Length": "",
			} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if got := eventsOf(resp).story(t); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestEachLineReachesTheClientBeforeTheNextOneComes(t *testing.T) {
	pace := make(chan struct{})
	g, _ := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{Content: []string{"a", "b", "c"}, Pace: pace}))
	go func() { pace <- struct{}{} }() // the headers come with the first line
	events := eventsOf(g.post(t, saying(`"stream":true`)))
	if got := told(t, events.next(t)); got != "role assistant" {
		t.Fatalf("got %q", got)
	}
	for i, want := range []string{"a", "b", "c", "finish stop"} {
		if i > 0 {
			pace <- struct{}{} // only now does Ollama write the line
		}
		if got := told(t, events.next(t)); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if got := events.story(t); !slices.Equal(got, []string{"[DONE]"}) {
		t.Errorf("got %q", got)
	}
}

func TestAllEventsOfAStreamHaveOneIdentity(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "a", "b"))
	identities := make(map[string]bool)
	for range 2 {
		body := read(t, g.post(t, saying(`"stream":true,"stream_options":{"include_usage":true}`)))
		seen := make(map[string]int)
		for event := range strings.SplitSeq(body, "\n\n") {
			if id, _, ok := strings.Cut(event, `,"model"`); ok {
				seen[id]++
			}
		}
		if len(seen) != 1 {
			t.Errorf("identities %v", seen)
		}
		for id, n := range seen {
			if n != 5 || identities[id] {
				t.Errorf("%d events of %s", n, id)
			}
			identities[id] = true
		}
	}
}
