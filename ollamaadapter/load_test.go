package ollamaadapter_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// toLoad is a model m that has to be loaded; each load takes a receive.
func toLoad(load <-chan struct{}) ollamatest.Model {
	m := ollamatest.Says("m", "hi")
	m.Load = load
	return m
}

// wire is between the gateway and Ollama, and keeps what makes a model work.
type wire struct {
	mu     sync.Mutex
	asked  []string // paths; "load " before those of requests that only load
	bodies []string
}

// tapped starts a gateway in front of an upstream, with a wire in between.
func tapped(t *testing.T, adapter ollamaadapter.Handler, upstream http.Handler) (*gateway, *wire) {
	t.Helper()
	tap := new(wire)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, own := catalogued[r.Method+" "+r.RequestURI]; !own {
			tap.add(r.RequestURI, string(body))
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		upstream.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return inFront(t, adapter, server.Listener.Addr().String()), tap
}

func (w *wire) add(path, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if onlyLoads(body) {
		path = "load " + path
	}
	w.asked, w.bodies = append(w.asked, path), append(w.bodies, body)
}

// onlyLoads reports whether a request asks for nothing but the model.
func onlyLoads(body string) bool {
	return strings.Contains(body, `"messages":[]`) || strings.Contains(body, `"prompt":""`) || strings.Contains(body, `"input":[]`)
}

func (w *wire) heard() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

// asker is a client that has asked, and can leave before it is answered.
type asker struct {
	leave  context.CancelFunc
	answer <-chan *http.Response // read whole; nil if there was none
}

func (g *gateway) asker(t *testing.T, path, body string) asker {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan *http.Response, 1)
	go func() {
		defer close(answer)
		resp, err := g.client.Do(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err == nil {
			resp.Body = io.NopCloser(bytes.NewReader(body))
			answer <- resp
		}
	}()
	return asker{leave, answer}
}

// chats are clients that have asked for chats.
func (g *gateway) chats(t *testing.T, bodies ...string) []asker {
	t.Helper()
	var all []asker
	for _, body := range bodies {
		all = append(all, g.asker(t, "/v1/chat/completions", body))
	}
	return all
}

// answered waits for the client's answer, which must come whole.
func (a asker) answered(t *testing.T) *http.Response {
	t.Helper()
	resp := within(t, a.answer, "the answer")
	if resp == nil {
		t.Fatal("the client got no whole answer")
	}
	return resp
}

// served checks that the client is answered with the model's word.
func (a asker) served(t *testing.T) {
	t.Helper()
	resp := a.answered(t)
	body := read(t, resp)
	streamed := resp.Header.Get("Content-Type") == "text/event-stream"
	if resp.StatusCode != 200 || !strings.Contains(body, `hi"`) || streamed != strings.HasSuffix(body, "data: [DONE]\n\n") {
		t.Errorf("%s: %s", resp.Status, body)
	}
}

// begun waits for the nth load.
func begun(t *testing.T, server *ollamatest.Server, n int) *ollamatest.Load {
	t.Helper()
	nth := make(chan *ollamatest.Load, 1)
	go func() { nth <- server.WaitForLoad(n) }()
	return within(t, nth, "a load")
}

// awaitWaiting waits until n requests wait for loads.
func awaitWaiting(t *testing.T, n int) {
	t.Helper()
	awaitGoroutines(t, n, func(stack string) bool {
		state, calls, _ := strings.Cut(stack, "\n")
		innermost, _, _ := strings.Cut(calls, "\n")
		return strings.Contains(state, "[select") && strings.Contains(innermost, "(*Handler).awaitLoad(")
	})
}

// awaitGoroutines waits until n goroutines are where nothing but their stacks tells.
func awaitGoroutines(t *testing.T, n int, there func(stack string) bool) {
	t.Helper()
	stacks, deadline := make([]byte, 4<<20), time.After(patience)
	for {
		found := 0
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if there(stack) {
				found++
			}
		}
		if found == n {
			return
		}
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("there are %d goroutines, want %d", found, n)
		}
	}
}

// giveUp waits for the end of a load that is to be aborted.
func giveUp(t *testing.T, load *ollamatest.Load) {
	t.Helper()
	within(t, load.Ended(), "the end of the load")
	if !load.Aborted() {
		t.Error("the load was completed")
	}
}

func TestClientsWaitTogetherForOneLoad(t *testing.T) {
	load := make(chan struct{})
	server := ollamatest.NewServer(toLoad(load))
	t.Cleanup(server.Close)
	g, tap := tapped(t, parsed(t, "native on"), server)
	askers := g.chats(t, saying(``), saying(`"stream":true`), saying(`"temperature":0.5`), saying(`"n":2`), saying(`"stream":true,"n":2`))
	askers = append(askers, g.asker(t, "/api/chat", nativeChat))
	begun(t, server, 1)
	awaitWaiting(t, len(askers))
	if got := tap.heard(); !slices.Equal(got, []string{"load /api/chat"}) {
		t.Errorf("before the model is loaded, Ollama is asked %q", got)
	}
	load <- struct{}{}
	for _, a := range askers {
		a.served(t)
	}
	if loads, requests := len(server.Loads()), len(server.Requests()); loads != 1 || requests != 8 {
		t.Errorf("%d loads and %d requests for 8 choices", loads, requests)
	}
	if got := tap.heard(); len(got) != 9 {
		t.Errorf("Ollama is asked %q", got)
	}
	for range askers {
		if end := g.ended(t); end.Reason != "" || end.status != 200 || end.Usage == nil {
			t.Errorf("record %+v", end.Record)
		}
	}
}

func TestALoadOutlivesClientsThatLeave(t *testing.T) {
	for _, test := range []struct {
		name   string
		leaves []int // of three
	}{
		{"the one that began it", []int{0}},
		{"one that came later", []int{2}},
		{"all but the last", []int{0, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			load := make(chan struct{})
			g, server := start(t, ollamaadapter.Handler{}, toLoad(load))
			askers := g.chats(t, saying(``))
			first := begun(t, server, 1)
			askers = append(askers, g.chats(t, saying(`"stream":true`), saying(``))...)
			awaitWaiting(t, 3)
			for _, i := range test.leaves {
				askers[i].leave()
				if end := g.ended(t); end.Reason != record.ClientGone || end.status != record.StatusClientGone || end.err != nil {
					t.Errorf("record %+v, status %d, error %v", end.Record, end.status, end.err)
				}
			}
			awaitWaiting(t, 3-len(test.leaves))
			load <- struct{}{}
			for i, a := range askers {
				if !slices.Contains(test.leaves, i) {
					a.served(t)
				}
			}
			within(t, first.Ended(), "the end of the load")
			if loads := len(server.Loads()); loads != 1 || first.Aborted() {
				t.Errorf("%d loads; the first is aborted: %v", loads, first.Aborted())
			}
			if requests := len(server.Requests()); requests != 3-len(test.leaves) {
				t.Errorf("%d requests for answers, want one of each that stayed", requests)
			}
		})
	}
}

func TestALoadThatNobodyWaitsForIsAborted(t *testing.T) {
	load := make(chan struct{})
	g, server := start(t, ollamaadapter.Handler{}, toLoad(load))
	const within100ms, tries = 100 * time.Millisecond, 3 // for the machine may be busy with something else
	for n := 1; ; n++ {
		askers := g.chats(t, saying(``), saying(`"stream":true`), saying(``))
		one := begun(t, server, n)
		awaitWaiting(t, 3)
		for _, a := range askers {
			a.leave()
		}
		left := time.Now()
		giveUp(t, one)
		if took := time.Since(left); took <= within100ms {
			break
		} else if n == tries {
			t.Fatalf("the load went on for %v", took)
		}
	}
	aborted := len(server.Loads())
	later := g.chats(t, saying(``), saying(`"stream":true`))
	again := begun(t, server, aborted+1)
	awaitWaiting(t, 2)
	load <- struct{}{}
	for _, a := range later {
		a.served(t)
	}
	within(t, again.Ended(), "the end of the load")
	if loads := len(server.Loads()); again.Aborted() || loads != aborted+1 {
		t.Errorf("aborted: %v; %d loads", again.Aborted(), loads)
	}
}

// A load that is being given up is nobody's to wait for, however long that takes.
func TestAClientThatComesWhileALoadIsGivenUp(t *testing.T) {
	begun := make(chan chan struct{}, 3) // how each load is ended
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		body, _ := io.ReadAll(r.Body)
		answer, own := catalogued[r.Method+" "+r.URL.Path]
		if !own {
			answer = firstLine + finalLine
		}
		if onlyLoads(string(body)) {
			end := make(chan struct{})
			begun <- end
			<-end
			if r.Context().Err() != nil {
				return r.Context().Err()
			}
		}
		_, err := io.WriteString(w, answer)
		return err
	})
	adapter := load[caddyhttp.MiddlewareHandler](t, caddyContext(t), "http.handlers.ollama_adapter", ollamaadapter.Handler{})
	ask := func(ctx context.Context) <-chan *httptest.ResponseRecorder {
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(saying(``)))
			_ = adapter.ServeHTTP(w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server)), next)
			answer <- w
		}()
		return answer
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	first := ask(ctx)
	end := within(t, begun, "the first load")
	awaitWaiting(t, 1)
	leave()
	within(t, first, "the first one's leaving")
	second := ask(t.Context())
	endSecond := within(t, begun, "the second one's load")
	close(end)
	awaitGoroutines(t, 1, func(stack string) bool { return strings.Contains(stack, "(*loads).run(") })
	third := ask(t.Context())
	awaitWaiting(t, 2)
	close(endSecond)
	for _, answer := range []<-chan *httptest.ResponseRecorder{second, third} {
		if w := within(t, answer, "the answer"); w.Code != 200 || !strings.Contains(w.Body.String(), `"content":"hello"`) {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	}
	if len(begun) > 0 {
		t.Error("the third one has begun a load of its own")
	}
}

// A load with other options is another load, and nobody's but its own clients'.
func TestLoadsWithOtherOptionsAreApart(t *testing.T) {
	load := make(chan struct{})
	g, server := start(t, ollamaadapter.Handler{}, toLoad(load))
	small := g.chats(t, saying(`"num_ctx":2048`))
	first := begun(t, server, 1)
	large := g.chats(t, saying(`"num_ctx":8192`), saying(`"num_ctx":8192`))
	awaitWaiting(t, 3)
	small[0].leave()
	giveUp(t, first)
	second := begun(t, server, 2)
	awaitWaiting(t, 2)
	load <- struct{}{}
	for _, a := range large {
		a.served(t)
	}
	if loads := len(server.Loads()); loads != 2 || first.Options["num_ctx"] != 2048.0 || second.Options["num_ctx"] != 8192.0 {
		t.Errorf("%d loads, with %v and %v", loads, first.Options, second.Options)
	}
}

// Some come, some leave, and each load is with other options than the one before;
// the race detector and goleak watch. Who stays is answered.
func TestClientsComeAndGoWhileModelsLoad(t *testing.T) {
	m := ollamatest.Says("m", "hi")
	m.LoadTime = 3 * time.Millisecond
	g, server := start(t, ollamaadapter.Handler{}, m)
	var stay []asker
	for i := range 60 {
		fields := []string{`"num_ctx":2048`, `"num_ctx":8192,"stream":true`, `"num_ctx":8192,"keep_alive":0`}[i%3]
		a := g.chats(t, saying(fields))[0]
		if i%4 == 3 {
			stay = append(stay, a)
			continue
		}
		time.AfterFunc(time.Duration(i)*time.Millisecond/4, a.leave)
	}
	for _, a := range stay {
		a.served(t)
	}
	for served := 0; served < len(stay); { // who left very early was never here
		if end := g.ended(t); end.status == 200 && end.Reason == "" {
			served++
		} else if end.Reason != record.ClientGone {
			t.Errorf("status %d, record %+v", end.status, end.Record)
		}
	}
	awaitWaiting(t, 0)
	for _, load := range server.Loads() {
		within(t, load.Ended(), "the end of a load")
	}
}
