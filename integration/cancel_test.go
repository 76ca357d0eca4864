package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

const (
	// promptly is how soon Ollama must stop after its client has left, in 99 of
	// 100 cases.
	promptly = 100 * time.Millisecond
	// departures is how often a client leaves in each state.
	departures = 100
	// measurements is how often all of them are repeated before a test fails. The
	// limit is meant for the gateway; but what is measured has the whole machine in
	// it, and one that builds something else meanwhile may hold any process for a
	// tenth of a second. A gateway that is slow by itself is so every time.
	measurements = 3
)

// state is a state of a request, in which its client leaves.
type state struct {
	name    string
	options string // of ollama_adapter
	model   ollamatest.Model
	fields  string // of the request
	busy    bool   // with a load that does not end
	// reached waits until the request is in that state, and returns what waits for
	// Ollama's end and tells when it was.
	reached func(v *visit) (stopped func() time.Time)
}

// visit is a request to a scripted Ollama that is sent to be left.
type visit struct {
	*visitor
	upstream        *ollamatest.Server
	requests, loads int // before it
}

// lasting is an answer that takes seconds, a line every few milliseconds.
var lasting = slices.Repeat([]string{"on and on "}, 1000)

func states() []state {
	never := make(chan struct{})
	tick := make(chan struct{})
	always := func(a ollamatest.Answer) ollamatest.Model {
		return ollamatest.Model{Name: "hello", Answer: func(ollama.ChatRequest) ollamatest.Answer { return a }}
	}
	silent := always(ollamatest.Answer{Content: []string{"never"}, Pace: never})
	unloaded := always(ollamatest.Answer{})
	unloaded.Load = never
	return []state{
		{"queued", "coalesce_loads off", unloaded, `"stream":true`, true, (*visit).request},
		{"loading", "", unloaded, `"stream":true`, false, (*visit).load},
		{"loading for a whole answer", "", unloaded, `"stream":false`, false, (*visit).load},
		{"reading the prompt", "", silent, `"stream":true`, false, (*visit).request},
		{"reading the prompt for a whole answer", "", silent, `"stream":false`, false, (*visit).request},
		{"loading, with heartbeats", "heartbeat 10ms", unloaded, `"stream":true`, false, func(v *visit) func() time.Time {
			v.read(3)
			return v.load()
		}},
		{"reading the prompt, with heartbeats", "heartbeat 10ms", silent, `"stream":true`, false, (*visit).events},
		{"generating", "", always(ollamatest.Answer{Content: lasting, Interval: 5 * time.Millisecond}), `"stream":true`, false, (*visit).events},
		{"generating a whole answer", "", always(ollamatest.Answer{Content: lasting, Pace: tick}), `"stream":false`, false, func(v *visit) func() time.Time {
			stopped := v.request()
			for range 3 {
				give(v.t, tick)
			}
			return stopped
		}},
		{"thinking", "", always(ollamatest.Answer{Thinking: lasting, Interval: 5 * time.Millisecond}), `"stream":true`, false, (*visit).events},
		{"between two choices", "", ollamatest.Model{Name: "hello", Answer: func(r ollama.ChatRequest) ollamatest.Answer {
			if r.Options["seed"] == 1.0 {
				return ollamatest.Answer{Content: []string{"the first"}}
			}
			return ollamatest.Answer{Content: []string{"the second"}, Pace: never}
		}}, `"stream":true,"n":2,"seed":1`, false, func(v *visit) func() time.Time {
			v.requests++ // the first choice's
			return v.request()
		}},
	}
}

// request waits for the request at Ollama.
func (v *visit) request() (stopped func() time.Time) {
	v.t.Helper()
	request := within(v.t, "the request at Ollama", func() *ollamatest.Request { return v.upstream.WaitFor(v.requests + 1) })
	return func() time.Time {
		v.t.Helper()
		within(v.t, "the end of the request", func() struct{} { return <-request.Ended() })
		if !request.Cancelled() {
			v.t.Error("Ollama has answered to the end")
		}
		return request.EndedAt()
	}
}

// load waits for the load.
func (v *visit) load() (stopped func() time.Time) {
	v.t.Helper()
	load := within(v.t, "the load", func() *ollamatest.Load { return v.upstream.WaitForLoad(v.loads + 1) })
	return func() time.Time {
		v.t.Helper()
		within(v.t, "the end of the load", func() struct{} { return <-load.Ended() })
		ended := time.Now()
		if !load.Aborted() {
			v.t.Error("the model is loaded")
		}
		return ended
	}
}

// events waits for a few events.
func (v *visit) events() (stopped func() time.Time) {
	v.t.Helper()
	v.read(3)
	return v.request()
}

// within waits for something, but not for ever.
func within[T any](t *testing.T, what string, wait func() T) T {
	t.Helper()
	came := make(chan T, 1)
	go func() { came <- wait() }()
	select {
	case v := <-came:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// give lets the scripted Ollama go on, which must want to.
func give(t *testing.T, turn chan<- struct{}) {
	t.Helper()
	within(t, "Ollama to go on", func() struct{} { turn <- struct{}{}; return struct{}{} })
}

func TestOllamaStopsWhenItsClientLeaves(t *testing.T) {
	for _, s := range states() {
		t.Run(s.name, func(t *testing.T) {
			upstream := ollamatest.NewServer(s.model)
			t.Cleanup(upstream.Close)
			g := startGatewayWith(t, upstream.Address(), adapting(s.options)...)
			if s.busy {
				holdTheLoad(t, upstream)
			}
			left := 0
			for protocol, client := range g.bothProtocols(t) {
				t.Run(protocol, func(t *testing.T) {
					untilWithin(t, promptly, departures, func() time.Duration {
						left++
						return g.leaving(t, upstream, client, s)
					})
				})
			}
			records := g.records(left)
			if len(records) != left {
				t.Errorf("%d records of %d requests", len(records), left)
			}
			for _, r := range records {
				if r["event.reason"] != "client_gone" {
					t.Errorf("record %v", r)
				}
			}
		})
	}
}

// adapting are changes to the Caddyfile: these options of ollama_adapter, and no limit
// for the rate of requests to speak of.
func adapting(options string) []string {
	return []string{"rate 5/s", "rate 1000/s", "burst 10", "burst 1000", "default_model hello", "default_model hello\n" + options}
}

// bothProtocols are a client of HTTP/1.1 and one of HTTP/2.
func (g *gateway) bothProtocols(t *testing.T) map[string]*http.Client {
	t.Helper()
	clients := make(map[string]*http.Client)
	for name, protocol := range map[string]string{"HTTP 1.1": "", "HTTP 2": "h2"} { // as TLS calls them
		client := g.from("127.0.0.2")
		transport := client.Transport.(*http.Transport)
		transport.ForceAttemptHTTP2 = protocol == "h2"
		transport.TLSClientConfig.VerifyConnection = func(state tls.ConnectionState) error {
			if state.NegotiatedProtocol != protocol {
				t.Errorf("%s is spoken over %q", name, state.NegotiatedProtocol)
			}
			return nil
		}
		clients[name] = client
	}
	return clients
}

// holdTheLoad makes all others queue for a load that does not end.
func holdTheLoad(t *testing.T, upstream *ollamatest.Server) {
	t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	left := make(chan struct{})
	go func() {
		defer close(left)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, upstream.URL+"/api/chat", strings.NewReader(`{"model":"hello"}`))
		if err != nil {
			t.Error(err)
			return
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			t.Error("the load has ended")
		}
	}()
	t.Cleanup(func() { leave(); <-left })
	within(t, "the load", func() *ollamatest.Load { return upstream.WaitForLoad(1) })
}

// leaving sends a request, leaves in the state, and returns how long Ollama went on.
func (g *gateway) leaving(t *testing.T, upstream *ollamatest.Server, client *http.Client, s state) time.Duration {
	t.Helper()
	requests, loads := len(upstream.Requests()), len(upstream.Loads())
	visitor := g.visitor(t, client, strings.Replace(chatBody("hello", true), `"stream":true`, s.fields, 1))
	stopped := s.reached(&visit{visitor, upstream, requests, loads})
	left := time.Now()
	visitor.leave()
	took := stopped().Sub(left)
	within(t, "the client's own end", func() struct{} { return <-visitor.gone })
	return took
}

// visitor is a client that has asked, and reads what comes until it leaves.
type visitor struct {
	t     *testing.T
	lines chan string // of the answer, without blank ones; closed at its end
	leave func()
	gone  chan struct{}
}

func (g *gateway) visitor(t *testing.T, client *http.Client, body string) *visitor {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	req, err := g.request(ctx, tokenFor(t, "bot"), body)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, make(chan string), leave, make(chan struct{})}
	go func() {
		defer close(v.gone)
		defer close(v.lines)
		resp, err := client.Do(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if lines.Text() == "" {
				continue
			}
			select {
			case v.lines <- lines.Text():
			case <-ctx.Done():
			}
		}
	}()
	return v
}

// read reads a few lines.
func (v *visitor) read(n int) {
	v.t.Helper()
	for range n {
		if line := within(v.t, "a line", func() string { return <-v.lines }); line == "" {
			v.t.Fatal("the answer has ended")
		}
	}
}

// untilWithin measures until Ollama stops within the limit at the 99th percentile.
func untilWithin(t *testing.T, limit time.Duration, departures int, measure func() time.Duration) {
	t.Helper()
	for n := 1; ; n++ {
		var took []time.Duration
		for range departures {
			took = append(took, measure())
		}
		slices.Sort(took)
		p99 := percentile(took, 99)
		t.Logf("Ollama stops after p50 %v, p99 %v, max %v", percentile(took, 50), p99, took[len(took)-1])
		if p99 <= limit {
			return
		}
		if n == measurements {
			t.Fatalf("Ollama goes on for %v after its client has left, at the 99th percentile", p99)
		}
	}
}

// percentile is the least of the values, which are sorted, that p per cent of them
// do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)*p+99)/100-1]
}
