package integration

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

const (
	// stopping is the error that ends what the stop cuts off.
	stopping = `{"error":{"message":"this server is shutting down","type":"server_error","param":null,"code":"server_overloaded"}}`
)

// stoppable is a gateway that is to be stopped.
type stoppable struct {
	*gateway
	grace time.Duration
}

// startStoppable runs the gateway with a short grace period.
func startStoppable(t *testing.T, upstream *ollamatest.Server, grace time.Duration) *stoppable {
	t.Helper()
	g := prepareGateway(t, upstream.Address())
	g.caddyfile = strings.Replace(g.caddyfile, "grace_period 30s", "grace_period "+grace.String(), 1)
	g.writeConfig(g.caddyfile)
	run := gatewayCommand(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	run.Env = append(run.Env, "GORACE=atexit_sleep_ms=0") // the race detector would add a second to the end
	g.process = startCommand(t, run)
	g.awaitListening(t, g.address())
	return &stoppable{g, grace}
}

// terminate asks the gateway to stop, and returns what checks that it does: with 0,
// and not much later than it may.
func (g *stoppable) terminate() (stopped func() (took time.Duration)) {
	g.t.Helper()
	begun := time.Now()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	return func() time.Duration {
		g.t.Helper()
		within(g.t, "the gateway's end", func() struct{} { return <-g.exited })
		took := time.Since(begun)
		g.t.Logf("the gateway ends after %v", took)
		if code := g.cmd.ProcessState.ExitCode(); code != 0 || took > g.grace+time.Second {
			g.t.Errorf("the gateway ends with %d after %v:\n%s", code, took, g.output.String())
		}
		return took
	}
}

// awaitStopping waits until the gateway has begun to stop.
func (g *stoppable) awaitStopping() {
	g.t.Helper()
	await(g.t, "the stop", func() error {
		if !strings.Contains(g.output.String(), "servers shutting down") {
			return fmt.Errorf("it has not begun: %s", g.output.String())
		}
		return nil
	})
}

// byTopic is a model whose answers depend on what it is asked about.
func byTopic(answers map[string]ollamatest.Answer) ollamatest.Model {
	return ollamatest.Model{Name: "hello", Answer: func(r ollama.ChatRequest) ollamatest.Answer {
		return answers[r.Messages[len(r.Messages)-1].Content]
	}}
}

// about is a request about a topic.
func about(topic string, stream bool) string {
	return strings.Replace(chatBody("hello", stream), `"hi"`, `"`+topic+`"`, 1)
}

// rest reads the rest of the stream: its last two events.
func (s *stream) rest() []string {
	s.t.Helper()
	last := make([]string, 2)
	for data, ok := s.next(); ok; data, ok = s.next() {
		last = []string{last[1], data}
	}
	if err := s.events.Err(); err != nil {
		s.t.Errorf("the stream is cut: %v", err)
	}
	return last
}

// cutOff checks that the rest of a stream ends with the error, and nothing after it.
func (s *stream) cutOff() {
	s.t.Helper()
	if last := s.rest(); last[1] != stopping || strings.Contains(last[0], "finish_reason\":\"") {
		s.t.Errorf("the stream ends with %q", last)
	}
}

// asked posts in the background.
func (g *gateway) asked(client *http.Client, token, body string) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		a, err := g.post(client, token, body)
		if err != nil {
			g.t.Errorf("%s: %v", body, err)
		}
		answers <- a
	}()
	return answers
}

func TestAStopEndsEveryAnswerTruthfully(t *testing.T) {
	for _, protocol := range []string{"HTTP 1.1", "HTTP 2"} {
		t.Run(protocol, func(t *testing.T) {
			tick := make(chan struct{})
			upstream := ollamatest.NewServer(byTopic(map[string]ollamatest.Answer{
				"short":  {Content: []string{"a", "b"}, Pace: tick},
				"long":   {Content: lasting, Interval: 10 * time.Millisecond},
				"silent": {Content: []string{"never"}, Pace: make(chan struct{})},
			}))
			t.Cleanup(upstream.Close)
			g := startStoppable(t, upstream, 2*time.Second)
			client := g.bothProtocols(t)[protocol]

			go func() { tick <- struct{}{} }() // the header comes with the first line
			short := g.stream(client, tokenFor(t, "short"), about("short", true))
			short.nextContent()
			long := g.stream(client, tokenFor(t, "long"), about("long", true))
			long.nextContent()
			whole := g.asked(client, tokenFor(t, "whole"), about("long", false))
			silent := g.asked(client, tokenFor(t, "silent"), about("silent", true))
			upstream.WaitFor(4)

			stopped := g.terminate()
			g.awaitStopping()
			for range 2 { // "b" and the end
				give(t, tick)
			}
			if last := short.rest(); last[1] != "[DONE]" {
				t.Errorf("the stream that has the time to end ends with %q", last)
			}
			long.cutOff()
			for _, a := range []answer{<-whole, <-silent} {
				if a.status != 503 || a.body != stopping {
					t.Errorf("got %d %s", a.status, a.body)
				}
			}
			stopped()
			for _, request := range upstream.Requests() {
				within(t, "Ollama's end", func() struct{} { return <-request.Ended() })
				if topic := request.Messages[0].Content; request.Cancelled() == (topic == "short") {
					t.Errorf("%s: cancelled is %v", topic, request.Cancelled())
				}
			}
			if n := len(g.records(4)); n != 4 {
				t.Errorf("%d records of 4 requests", n)
			}
			checkRecord(t, g.recordWith("user.id", "short"), record{"event.reason": "ok", "http.response.status_code": 200, "gen_ai.usage.output_tokens": 2})
			cut := record{"event.reason": "shutting_down", "event.outcome": "failure"}
			checkRecord(t, g.recordWith("user.id", "long"), cut)
			checkRecord(t, g.recordWith("user.id", "long"), record{"http.response.status_code": 200, "labels.usage_estimated": true})
			for _, user := range []string{"whole", "silent"} {
				checkRecord(t, g.recordWith("user.id", user), cut)
				checkRecord(t, g.recordWith("user.id", user), record{"http.response.status_code": 503})
			}
		})
	}
}

func TestAStopAbortsLoads(t *testing.T) {
	var models []ollamatest.Model
	for _, name := range []string{"hello", "other"} {
		model := ollamatest.Says(name, "Hello")
		model.Load = make(chan struct{})
		models = append(models, model)
	}
	upstream := ollamatest.NewServer(models...)
	t.Cleanup(upstream.Close)
	g := startStoppable(t, upstream, 2*time.Second)
	waiting := []<-chan answer{
		g.asked(g.from("127.0.0.2"), tokenFor(t, "one"), chatBody("hello", true)),
		g.asked(g.from("127.0.0.3"), tokenFor(t, "two"), chatBody("other", false)),
	}
	within(t, "both loads", func() *ollamatest.Load { return upstream.WaitForLoad(2) })
	stopped := g.terminate()
	for _, answers := range waiting {
		if a := <-answers; a.status != 503 || a.body != stopping {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	stopped()
	for _, load := range upstream.Loads() {
		within(t, "the end of the load", func() struct{} { return <-load.Ended() })
		if !load.Aborted() {
			t.Errorf("%s is loaded", load.Model)
		}
	}
	if loads, requests := len(upstream.Loads()), len(upstream.Requests()); loads != 2 || requests != 0 {
		t.Errorf("%d loads, %d requests for answers", loads, requests)
	}
	for _, user := range []string{"one", "two"} {
		checkRecord(t, g.recordWith("user.id", user), record{"event.reason": "shutting_down", "http.response.status_code": 503})
	}
}

func TestAStopWithNothingToWaitForIsQuick(t *testing.T) {
	g := startStoppable(t, scripted(t), 10*time.Second)
	if a := g.mustPost(g.bothProtocols(t)["HTTP 1.1"], tokenFor(t, "bot"), chatBody("hello", true)); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if took := g.terminate()(); took > g.grace/2 {
		t.Errorf("it took %v", took)
	}
}

// A reload, and the end of the grace period after it, end nothing.
func TestAReloadEndsNothing(t *testing.T) {
	load, tick := make(chan struct{}), make(chan struct{})
	unloaded := ollamatest.Says("unloaded", "Hello")
	unloaded.Load = load
	upstream := ollamatest.NewServer(unloaded, byTopic(map[string]ollamatest.Answer{"short": {Content: []string{"a", "b"}, Pace: tick}}))
	t.Cleanup(upstream.Close)
	g := startStoppable(t, upstream, 2*time.Second)
	go func() { tick <- struct{}{} }() // the header comes with the first line
	s := g.stream(g.from("127.0.0.2"), tokenFor(t, "old"), about("short", true))
	s.nextContent()
	var waiting []<-chan answer
	for range 2 {
		waiting = append(waiting, g.asked(g.from("127.0.0.3"), tokenFor(t, "bot"), chatBody("unloaded", false)))
	}
	begun := within(t, "the load", func() *ollamatest.Load { return upstream.WaitForLoad(1) })
	if err := g.reload(strings.Replace(g.caddyfile, "burst 10", "burst 11", 1)); err != nil {
		t.Fatal(err)
	}
	<-time.After(g.grace + 500*time.Millisecond)
	give(t, load)
	waiting = append(waiting, g.asked(g.from("127.0.0.4"), tokenFor(t, "bot"), chatBody("unloaded", false)))
	for _, answers := range waiting {
		if a := <-answers; a.status != 200 || !strings.Contains(a.body, `"content":"Hello"`) {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	if begun.Aborted() || len(upstream.Loads()) != 1 {
		t.Errorf("the load is aborted: %v; %d loads", begun.Aborted(), len(upstream.Loads()))
	}
	for range 2 {
		give(t, tick)
	}
	if last := s.rest(); last[1] != "[DONE]" {
		t.Errorf("the stream ends with %q", last)
	}
	for _, r := range g.records(4) {
		checkRecord(t, r, record{"event.reason": "ok"})
	}
}

// What an earlier configuration has begun ends as all others do.
func TestAStopAfterAReload(t *testing.T) {
	for _, test := range []struct {
		name   string
		others bool          // there is a stream of the last configuration, too
		later  time.Duration // than the reload
	}{
		{"at once", false, 0},
		{"at once, with others", true, 0},
		{"when the reload's own grace period is over", false, 4500 * time.Millisecond},
		{"when the reload's own grace period is over, with others", true, 4500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			upstream := ollamatest.NewServer(byTopic(map[string]ollamatest.Answer{
				"long": {Content: slices.Repeat(lasting, 3), Interval: 10 * time.Millisecond},
			}))
			t.Cleanup(upstream.Close)
			g := startStoppable(t, upstream, 4*time.Second)
			streams := []*stream{g.stream(g.from("127.0.0.2"), tokenFor(t, "old"), about("long", true))}
			whole := g.asked(g.from("127.0.0.3"), tokenFor(t, "whole"), about("long", false))
			upstream.WaitFor(2)
			if err := g.reload(strings.Replace(g.caddyfile, "burst 10", "burst 11", 1)); err != nil {
				t.Fatal(err)
			}
			<-time.After(test.later)
			if test.others {
				streams = append(streams, g.stream(g.from("127.0.0.4"), tokenFor(t, "new"), about("long", true)))
			}
			for _, s := range streams {
				s.nextContent()
			}
			stopped := g.terminate()
			for _, s := range streams {
				s.cutOff()
			}
			if a := <-whole; a.status != 503 || a.body != stopping {
				t.Errorf("got %d %s", a.status, a.body)
			}
			stopped()
			for _, r := range g.records(len(streams) + 1) {
				checkRecord(t, r, record{"event.reason": "shutting_down"})
			}
		})
	}
}
