package ollamatest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// loading is a model that has to be loaded, for which each load takes a receive.
func loading(load <-chan struct{}) ollamatest.Model {
	m := ollamatest.Says("m", "hi")
	m.Load = load
	return m
}

// loadsAtOnce is a model that has to be loaded, which takes no time.
func loadsAtOnce() ollamatest.Model {
	load := make(chan struct{})
	close(load)
	return loading(load)
}

// with is a chat request with these fields besides its message.
func with(fields string) string {
	return `{"model":"m","messages":[{"role":"user","content":"hi"}],` + fields + `}`
}

func post(t *testing.T, client *http.Client, url, body string) *http.Response {
	t.Helper()
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// asked asks in the background; the answer's body, or the error, comes when it is there.
func asked(ctx context.Context, t *testing.T, client *http.Client, url, body string) <-chan string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/chat", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		resp, err := client.Do(req)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	return answer
}

func TestRequestsToLoadAModel(t *testing.T) {
	const (
		loaded    = `{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}`
		generated = `{"model":"m","message":{"role":"","content":""},"done":true,"done_reason":"load"}`
		embedded  = `{"model":"m","embeddings":[]}`
	)
	for _, test := range []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"a chat without messages", "/api/chat", `{"model":"m","messages":[]}`, 200, loaded},
		{"a chat without messages is no stream even if it asks for one", "/api/chat", `{"model":"m","messages":[],"stream":true}`, 200, loaded},
		{"a chat that says nothing of messages", "/api/chat", `{"model":"m"}`, 200, loaded},
		{"no prompt", "/api/generate", `{"model":"m","stream":true}`, 200, generated},
		{"an empty prompt", "/api/generate", `{"model":"m","prompt":""}`, 200, generated},
		{"no input", "/api/embed", `{"model":"m"}`, 200, embedded},
		{"an empty input", "/api/embed", `{"model":"m","input":""}`, 200, embedded},
		{"a list of no inputs", "/api/embed", `{"model":"m","input":[]}`, 200, embedded},
		{"a list of an empty input asks for its embedding", "/api/embed", `{"model":"m","input":[""]}`, 200, `{"model":"m","embeddings":[[0,1]]}`},
		{"keep_alive 0 unloads", "/api/chat", `{"model":"m","keep_alive":0}`, 200, strings.Replace(loaded, `"load"`, `"unload"`, 1)},
		{"a model that is not there", "/api/chat", `{"model":"x"}`, 404, `{"error":"model 'x' not found"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, ollamatest.Says("m", "hi"))
			resp := post(t, client, server.URL+test.path, test.body)
			if got := read(t, resp); resp.StatusCode != test.status || got != test.want {
				t.Errorf("%s: %s", resp.Status, got)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("content type %q", got)
			}
			if n, loads := len(server.Requests()), len(server.Loads()); n > 0 || loads > 0 {
				t.Errorf("%d requests for answers, and %d loads of a model that is always loaded", n, loads)
			}
		})
	}
}

func TestTheFirstRequestLoadsTheModel(t *testing.T) {
	load := make(chan struct{})
	for _, test := range []struct{ name, path, body, want string }{
		{"a chat", "/api/chat", asking(true), `"content":"hi"`},
		{"a prompt", "/api/generate", `{"model":"m","prompt":"hi"}`, `"response":"hi"`},
		{"an embedding", "/api/embed", `{"model":"m","input":"hi"}`, `[[2,1]]`},
		{"a request to load it", "/api/chat", `{"model":"m"}`, `"done_reason":"load"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, loading(load))
			go func() {
				server.WaitForLoad(1)
				load <- struct{}{}
			}()
			for range 2 {
				if got := read(t, post(t, client, server.URL+test.path, test.body)); !strings.Contains(got, test.want) {
					t.Errorf("got %s", got)
				}
			}
			loads := server.Loads()
			if len(loads) != 1 || loads[0].Model != "m" {
				t.Fatalf("loads %+v", loads)
			}
			<-loads[0].Ended()
			if loads[0].Aborted() {
				t.Error("the load is said to be aborted")
			}
		})
	}
}

func TestRequestsWaitForALoadThatIsUnderWay(t *testing.T) {
	load := make(chan struct{})
	server, client := start(t, loading(load))
	first := asked(t.Context(), t, client, server.URL, asking(true))
	server.WaitForLoad(1)
	second := asked(t.Context(), t, client, server.URL, asking(true))
	for n := 1; n <= 2; n++ {
		select {
		case <-server.WaitFor(n).Ended():
			t.Errorf("request %d was answered before the model was loaded", n)
		default:
		}
	}
	load <- struct{}{}
	for _, answer := range []<-chan string{first, second} {
		if got := <-answer; !strings.Contains(got, `"done":true`) {
			t.Errorf("got %s", got)
		}
	}
	if n := len(server.Loads()); n != 1 {
		t.Errorf("%d loads", n)
	}
}

func TestACallerThatLeavesAbortsItsLoad(t *testing.T) {
	load := make(chan struct{})
	server, client := start(t, loading(load))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	first := asked(ctx, t, client, server.URL, asking(true))
	begun := server.WaitForLoad(1)
	second := asked(t.Context(), t, client, server.URL, asking(true))
	server.WaitFor(2)
	leave()
	<-first
	<-begun.Ended()
	if !begun.Aborted() {
		t.Error("the load is not said to be aborted")
	}
	<-server.WaitFor(1).Ended()
	if !server.WaitFor(1).Cancelled() {
		t.Error("the request is not said to be cancelled")
	}
	again := server.WaitForLoad(2)
	select {
	case got := <-second:
		t.Fatalf("the next is answered without a load of its own: %s", got)
	default:
	}
	load <- struct{}{}
	if got := <-second; !strings.Contains(got, `"done":true`) {
		t.Errorf("got %s", got)
	}
	<-again.Ended()
	if again.Aborted() || len(server.Loads()) != 2 {
		t.Errorf("aborted %v, %d loads", again.Aborted(), len(server.Loads()))
	}
}

func TestACallerThatOnlyWaitsAbortsNothing(t *testing.T) {
	load := make(chan struct{})
	server, client := start(t, loading(load))
	first := asked(t.Context(), t, client, server.URL, asking(true))
	begun := server.WaitForLoad(1)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	second := asked(ctx, t, client, server.URL, asking(true))
	waiting := server.WaitFor(2)
	leave()
	<-second
	<-waiting.Ended()
	if !waiting.Cancelled() {
		t.Error("the one that left is not said to be cancelled")
	}
	load <- struct{}{}
	if got := <-first; !strings.Contains(got, `"done":true`) {
		t.Errorf("got %s", got)
	}
	<-begun.Ended()
	if begun.Aborted() || len(server.Loads()) != 1 {
		t.Errorf("aborted %v, %d loads", begun.Aborted(), len(server.Loads()))
	}
}

func TestALoadThatIsAbortedLeavesNothingLoaded(t *testing.T) {
	load := make(chan struct{})
	server, client := start(t, loading(load))
	go func() { load <- struct{}{} }()
	read(t, post(t, client, server.URL+"/api/chat", with(`"options":{"num_ctx":1}`)))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	answer := asked(ctx, t, client, server.URL, with(`"options":{"num_ctx":2}`))
	again := server.WaitForLoad(2)
	if got := loaded(t, client, server.URL); got != `{"models":[]}` {
		t.Errorf("while it loads again: %s", got)
	}
	leave()
	<-answer
	<-again.Ended()
	if got := loaded(t, client, server.URL); got != `{"models":[]}` {
		t.Errorf("after that: %s", got)
	}
}

// loaded is what /api/ps says.
func loaded(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url + "/api/ps")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return read(t, resp)
}

func TestALoadThatIsAbortedAnswers499(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	leave()
	for _, test := range []struct{ path, body string }{
		{"/api/chat", asking(true)},
		{"/api/chat", `{"model":"m"}`},
		{"/api/embed", `{"model":"m","input":"hi"}`},
	} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "http://localhost"+test.path, strings.NewReader(test.body))
		ollamatest.NewHandler(loadsAtOnce()).ServeHTTP(w, req.WithContext(ctx))
		if w.Code != 499 || w.Body.String() != `{"error":"request canceled"}` {
			t.Errorf("%s %s: %d %s", test.path, test.body, w.Code, w.Body)
		}
	}
}

func TestALoadEndsWithTheServer(t *testing.T) {
	server, client := start(t, loading(make(chan struct{})))
	answer := asked(t.Context(), t, client, server.URL, asking(true))
	begun := server.WaitForLoad(1)
	server.Close()
	<-answer
	<-begun.Ended()
	if !begun.Aborted() {
		t.Error("the load is not said to be aborted")
	}
}

func TestALoadTakesItsTime(t *testing.T) {
	m := ollamatest.Says("m", "hi")
	m.LoadTime = 50 * time.Millisecond
	server, client := start(t, m)
	begun := time.Now()
	read(t, post(t, client, server.URL+"/api/chat", `{"model":"m"}`))
	if took := time.Since(begun); took < m.LoadTime || len(server.Loads()) != 1 {
		t.Errorf("took %v, %d loads", took, len(server.Loads()))
	}
}

func TestOptionsOfALoad(t *testing.T) {
	for _, test := range []struct {
		name, first, second string
		loads               []map[string]any
	}{
		{"the same ones need no other load", `"options":{"num_ctx":8192}`, `"options":{"num_ctx":8192}`, []map[string]any{{"num_ctx": 8192.0}}},
		{"another context needs one", `"options":{"num_ctx":8192}`, `"options":{"num_ctx":4096}`, []map[string]any{{"num_ctx": 8192.0}, {"num_ctx": 4096.0}}},
		{"one that is left out is another", `"options":{"num_batch":8}`, `"stream":true`, []map[string]any{{"num_batch": 8.0}, {}}},
		{"one that is added is another", `"stream":true`, `"options":{"use_mmap":false}`, []map[string]any{{}, {"use_mmap": false}}},
		{"each of them counts", `"options":{"main_gpu":1,"num_thread":2}`, `"options":{"main_gpu":1,"num_thread":3}`, []map[string]any{
			{"main_gpu": 1.0, "num_thread": 2.0}, {"main_gpu": 1.0, "num_thread": 3.0}}},
		{"what is for sampling does not count", `"options":{"top_k":1}`, `"options":{"temperature":0}`, []map[string]any{{}}},
		{"num_gpu counts", `"options":{"num_gpu":1}`, `"options":{"num_gpu":2}`, []map[string]any{{"num_gpu": 1.0}, {"num_gpu": 2.0}}},
		{"a num_gpu that is left to Ollama does not", `"options":{"num_gpu":1}`, `"stream":true`, []map[string]any{{"num_gpu": 1.0}}},
		{"nor one that is -1", `"options":{"num_gpu":1}`, `"options":{"num_gpu":-1}`, []map[string]any{{"num_gpu": 1.0}}},
		{"keep_alive 0 leaves it unloaded", `"keep_alive":0`, `"stream":true`, []map[string]any{{}, {}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, loadsAtOnce())
			for i, fields := range []string{test.first, test.second} {
				read(t, post(t, client, server.URL+"/api/chat", with(fields)))
				<-server.WaitFor(i + 1).Ended()
			}
			var got []map[string]any
			for _, load := range server.Loads() {
				got = append(got, load.Options)
			}
			if !reflect.DeepEqual(got, test.loads) {
				t.Errorf("loads with %v, want %v", got, test.loads)
			}
		})
	}
}

func TestLoadedModelsAreListed(t *testing.T) {
	server, client := start(t, loadsAtOnce(), ollamatest.Says("always", "hi"))
	if got := loaded(t, client, server.URL); got != `{"models":[]}` {
		t.Errorf("at first: %s", got)
	}
	read(t, post(t, client, server.URL+"/api/chat", `{"model":"m"}`))
	if got := loaded(t, client, server.URL); strings.Count(got, `"name"`) != 1 || !strings.Contains(got, `"name":"m"`) {
		t.Errorf("loaded: %s", got)
	}
	read(t, post(t, client, server.URL+"/api/generate", `{"model":"m","keep_alive":0}`))
	if got := loaded(t, client, server.URL); got != `{"models":[]}` {
		t.Errorf("unloaded: %s", got)
	}
	read(t, post(t, client, server.URL+"/api/embed", `{"model":"m","keep_alive":0}`))
	if got, loads := loaded(t, client, server.URL), len(server.Loads()); got != `{"models":[]}` || loads != 2 {
		t.Errorf("after an embedding that does not keep it: %s, %d loads", got, loads)
	}
}
