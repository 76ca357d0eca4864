package integration

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// stream is a streamed answer that a test reads event by event.
type stream struct {
	t      *testing.T
	resp   *http.Response
	events *bufio.Scanner
	cancel context.CancelFunc
}

// stream begins a streamed answer.
func (g *gateway) stream(client *http.Client, token, body string) *stream {
	g.t.Helper()
	ctx, cancel := context.WithCancel(g.t.Context())
	g.t.Cleanup(cancel)
	req, err := g.request(ctx, token, body)
	if err != nil {
		g.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(resp.Body)
		g.t.Fatalf("got %d %s %s", resp.StatusCode, resp.Header.Get("Content-Type"), body)
	}
	return &stream{g.t, resp, bufio.NewScanner(resp.Body), cancel}
}

// next is the data of the next event; false at the end.
func (s *stream) next() (string, bool) {
	s.t.Helper()
	for s.events.Scan() {
		if line := s.events.Text(); line != "" {
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok {
				s.t.Fatalf("%q is no data line", line)
			}
			return data, true
		}
	}
	return "", false
}

// nextContent is the text of the next chunk that has any.
func (s *stream) nextContent() string {
	s.t.Helper()
	for {
		data, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended: %v", s.events.Err())
		}
		if text := s.decode(data).Choices[0].Delta.Content; text != nil && *text != "" {
			return *text
		}
	}
}

func (s *stream) decode(data string) openai.Chunk {
	s.t.Helper()
	var chunk openai.Chunk
	if err := json.Unmarshal([]byte(data), &chunk); err != nil || len(chunk.Choices) != 1 {
		s.t.Fatalf("chunk %s: %v", data, err)
	}
	return chunk
}

// counting is a model that says 1, 2, 3, … n, a number for each tick.
func counting(n int, tick <-chan struct{}) ollamatest.Model {
	var numbers []string
	for i := range n {
		numbers = append(numbers, strconv.Itoa(i+1)+" ")
	}
	return ollamatest.Model{Name: "hello", Answer: func(ollama.ChatRequest) ollamatest.Answer {
		return ollamatest.Answer{Content: numbers, Pace: tick, PromptTokens: 5}
	}}
}

func TestReloadLosesNoChunk(t *testing.T) {
	const n = 60
	tick := make(chan struct{})
	upstream := ollamatest.NewServer(counting(n, tick))
	t.Cleanup(upstream.Close)
	g := startGateway(t, upstream.Address())
	s := g.stream(startedBy(tick, g.from("127.0.0.2")), tokenFor(t, "bot"), chatBody("hello", true))

	for i := 1; i <= n; i++ {
		if i > 1 {
			tick <- struct{}{}
		}
		if got, want := s.nextContent(), strconv.Itoa(i)+" "; got != want {
			t.Fatalf("chunk %d is %q", i, got)
		}
		if i%20 == 0 { // in the middle, each time to another configuration
			if err := g.reload(strings.Replace(g.caddyfile, "burst 10", "burst "+strconv.Itoa(10+i), 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tick <- struct{}{} // the line that ends the answer
	var last string
	for data, ok := s.next(); ok; data, ok = s.next() {
		last = data
	}
	if last != "[DONE]" {
		t.Errorf("the stream ended with %q", last)
	}
	checkRecord(t, g.recordWith("gen_ai.request.stream", true), record{
		"http.response.status_code": 200, "event.reason": "ok",
		"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": n,
	})
}

// startedBy gives the first tick when the request has been sent: the answer's
// header comes with the first chunk.
func startedBy(tick chan<- struct{}, client *http.Client) *http.Client {
	inner := client.Transport
	client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		go func() {
			select {
			case tick <- struct{}{}:
			case <-r.Context().Done():
			}
		}()
		return inner.RoundTrip(r)
	})
	return client
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestClientThatLeavesEndsTheUpstreamRequest(t *testing.T) {
	for _, source := range []struct{ name, address string }{
		{"over HTTP/1.1", "127.0.0.2"}, {"over HTTP/2", "127.0.0.3"},
	} {
		t.Run(source.name, func(t *testing.T) {
			tick := make(chan struct{})
			upstream := ollamatest.NewServer(counting(1000, tick))
			t.Cleanup(upstream.Close)
			g := startGateway(t, upstream.Address())
			client := g.from(source.address)
			if source.name == "over HTTP/1.1" {
				client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
			}
			s := g.stream(startedBy(tick, client), tokenFor(t, "bot"), chatBody("hello", true))
			s.nextContent()
			s.cancel()
			request := upstream.WaitFor(1)
			<-request.Ended()
			if !request.Cancelled() {
				t.Error("Ollama answered to the end")
			}
			checkRecord(t, g.recordWith("gen_ai.request.stream", true), record{
				"http.response.status_code": 499, "event.reason": "client_gone", "event.outcome": "unknown",
				"gen_ai.usage.output_tokens": 1, "labels.usage_estimated": true,
			})
		})
	}
}

func TestUpstreamThatDiesMidStreamIsNotTakenForAnEnd(t *testing.T) {
	upstream := ollamatest.NewServer(ollamatest.Model{Name: "hello", Answer: func(ollama.ChatRequest) ollamatest.Answer {
		return ollamatest.Answer{Cut: true, Raw: []string{
			`{"model":"hello","message":{"role":"assistant","content":"Hel"},"done":false}` + "\n",
		}}
	}})
	t.Cleanup(upstream.Close)
	g := startGateway(t, upstream.Address())
	s := g.stream(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", true))
	if got := s.nextContent(); got != "Hel" {
		t.Fatalf("first chunk is %q", got)
	}
	last, ok := s.next()
	if !ok || !strings.HasPrefix(last, `{"error":{`) {
		t.Errorf("after the cut came %q, want an error event", last)
	}
	if data, ok := s.next(); ok {
		t.Errorf("after the error event came %q, want nothing", data)
	}
	checkRecord(t, g.recordWith("gen_ai.request.stream", true), record{
		"http.response.status_code": 200, "event.reason": "upstream_error", "event.outcome": "failure",
	})
}
