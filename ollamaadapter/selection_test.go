package ollamaadapter_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// one is one of several scripted Ollamas, of which can be told what it was asked.
type one struct {
	http.Handler
	address string
	polls   atomic.Int64 // that it has answered
	dies    atomic.Bool  // at each chat, before the first byte

	mu    sync.Mutex
	chats []string // the bodies of those that ask for an answer
}

func (o *one) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api/chat" {
		body, err := io.ReadAll(r.Body)
		o.add(string(body))
		if err != nil || o.dies.Load() {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	o.Handler.ServeHTTP(w, r)
	if r.URL.Path == "/api/ps" {
		o.polls.Add(1)
	}
}

func (o *one) add(body string) {
	if strings.Contains(body, `"messages":[]`) {
		return // only loads the model
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.chats = append(o.chats, body)
}

// asked is how often it was asked for an answer.
func (o *one) asked() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.chats)
}

// awaitPoll waits until what it says now was asked.
func (o *one) awaitPoll(t *testing.T) {
	t.Helper()
	for before, until := o.polls.Load(), time.Now().Add(patience); o.polls.Load() < before+2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it is not polled")
		}
	}
}

// load has a model loaded, as by somebody else.
func (o *one) load(t *testing.T, model string) {
	t.Helper()
	resp, err := http.Post("http://"+o.address+"/api/generate", "application/json", strings.NewReader(`{"model":"`+model+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

// several starts three scripted Ollamas with the same models.
func several(t *testing.T, models ...ollamatest.Model) []*one {
	t.Helper()
	var all []*one
	for range 3 {
		o := &one{Handler: ollamatest.NewHandler(models...)}
		server := httptest.NewServer(o)
		t.Cleanup(server.Close)
		o.address = server.Listener.Addr().String()
		all = append(all, o)
	}
	return all
}

// loadable is a model that must be loaded, which takes no time, and says its name.
func loadable(name string) ollamatest.Model {
	m := ollamatest.Says(name, name)
	ready := make(chan struct{})
	close(ready)
	m.Load = ready
	return m
}

// retrying are the options by which reverse_proxy sends a request again.
var retrying = map[string]any{"retries": 3, "try_interval": 1, "retry_match": []any{map[string]any{"method": []string{"POST", "GET"}}}}

// balancing is reverse_proxy in front of all of them, with these options of
// load_balancing.
func balancing(all []*one, options map[string]any) map[string]any {
	lb := map[string]any{"selection_policy": map[string]any{"policy": "ollama_model", "poll": "100ms"}}
	for name, value := range options {
		lb[name] = value
	}
	var upstreams []map[string]string
	for _, o := range all {
		upstreams = append(upstreams, map[string]string{"dial": o.address})
	}
	return map[string]any{
		"transport": map[string]string{"protocol": "http"}, "upstreams": upstreams,
		"load_balancing": lb, "request_buffers": 10_000_000,
	}
}

// counts are how often each was asked for an answer.
func counts(all []*one) (n []int) {
	for _, o := range all {
		n = append(n, o.asked())
	}
	return n
}

func sum(numbers []int) (n int) {
	for _, one := range numbers {
		n += one
	}
	return n
}

func says(t *testing.T, resp *http.Response, want string) {
	t.Helper()
	if body := read(t, resp); resp.StatusCode != 200 || !strings.Contains(body, `"content":"`+want+`"`) {
		t.Errorf("got %s %s", resp.Status, body)
	}
}

func TestARequestGoesWhereItsModelIsLoaded(t *testing.T) {
	all := several(t, loadable("m"), loadable("other"))
	all[2].load(t, "m")
	all[1].load(t, "other")
	g := inFrontOf(t, http1, ollamaadapter.Handler{}, balancing(all, nil))
	read(t, g.do(t, t.Context(), http.MethodGet, "/v1/models", "")) // from the first request on they are polled
	all[1].awaitPoll(t)
	all[2].awaitPoll(t)
	for range 3 {
		says(t, g.post(t, saying("")), "m")
	}
	says(t, g.post(t, strings.Replace(saying(""), `"m"`, `"other"`, 1)), "other")
	if got := counts(all); !slices.Equal(got, []int{0, 1, 3}) {
		t.Errorf("they were asked %v times", got)
	}
	// the request that loads a model goes the same way as the one for an answer
	if resp, err := http.Get("http://" + all[0].address + "/api/ps"); err != nil {
		t.Error(err)
	} else if body := read(t, resp); strings.Contains(body, `"name"`) {
		t.Errorf("the first has loaded %s", body)
	}
}

func TestAConversationStaysWhereItsPromptIsCached(t *testing.T) {
	release := make(chan struct{})
	m := loadable("m")
	m.Answer = func(req ollama.ChatRequest) ollamatest.Answer {
		if strings.Contains(req.Messages[0].Content, "slowly") {
			return ollamatest.Answer{Content: []string{"m"}, Pace: release}
		}
		return ollamatest.Answer{Content: []string{"m"}}
	}
	all := several(t, m)[:2]
	all[0].load(t, "m")
	all[1].load(t, "m")
	g := inFrontOf(t, http1, ollamaadapter.Handler{}, balancing(all, nil))
	read(t, g.do(t, t.Context(), http.MethodGet, "/v1/models", ""))
	all[0].awaitPoll(t)
	all[1].awaitPoll(t)

	slow := make(chan *http.Response, 1)
	go func() { slow <- g.post(t, strings.Replace(saying(""), "hi", "slowly", 1)) }()
	for until := time.Now().Add(patience); all[0].asked() == 0 && time.Now().Before(until); time.Sleep(time.Millisecond) {
	}
	// the first is busy with that: the conversation opens at the second
	says(t, g.post(t, saying(""), "X-Conversation-Id", "mine"), "m")
	close(release)
	says(t, within(t, slow, "the slow answer"), "m")
	before := counts(all)

	says(t, g.post(t, saying(""), "X-Conversation-Id", "mine"), "m")
	if got := counts(all); got[0] != before[0] || got[1] != before[1]+1 {
		t.Errorf("a conversation goes elsewhere: %v, then %v", before, got)
	}
	t.Run("after a reload too", func(t *testing.T) {
		reloaded := inFrontOf(t, http1, ollamaadapter.Handler{}, balancing(all, nil))
		says(t, reloaded.post(t, saying(""), "X-Conversation-Id", "mine"), "m")
		if got := counts(all); got[0] != before[0] || got[1] != before[1]+2 {
			t.Errorf("a conversation goes elsewhere: %v, then %v", before, got)
		}
	})
	t.Run("another one goes to the first in the list", func(t *testing.T) {
		before := counts(all)
		says(t, g.post(t, saying(""), "X-Conversation-Id", "yours"), "m")
		if got := counts(all); got[0] != before[0]+1 {
			t.Errorf("another conversation goes elsewhere: %v, then %v", before, got)
		}
	})
}

func TestABusyOllamaIsHelpedByOthers(t *testing.T) {
	release := make(chan struct{})
	m := loadable("m")
	m.Answer = func(ollama.ChatRequest) ollamatest.Answer {
		return ollamatest.Answer{Content: []string{"m"}, Pace: release}
	}
	all := several(t, m)
	all[0].load(t, "m")
	proxying := balancing(all, nil)
	proxying["load_balancing"].(map[string]any)["selection_policy"].(map[string]any)["busy"] = 2
	g := inFrontOf(t, http1, ollamaadapter.Handler{}, proxying)
	var answers []chan *http.Response
	for range 6 {
		answer := make(chan *http.Response, 1)
		go func() { answer <- g.post(t, saying("")) }()
		answers = append(answers, answer)
	}
	deadline := time.Now().Add(patience)
	go func() {
		// each must have come somewhere before any is answered
		for time.Now().Before(deadline) && sum(counts(all)) < 6 {
			time.Sleep(5 * time.Millisecond)
		}
		close(release)
	}()
	for _, answer := range answers {
		says(t, within(t, answer, "an answer"), "m")
	}
	if got := counts(all); slices.Max(got) > 4 || slices.Min(got) == 0 {
		t.Errorf("they were asked %v times", got)
	}
}

func TestARequestIsSentAgainIfAndOnlyIfNothingWasAnswered(t *testing.T) {
	for _, test := range []struct {
		name    string
		options map[string]any
		spoil   func(*one)
		status  int // of the answer
		want    []int
	}{
		{"an Ollama that dies while it reads the request", retrying, func(o *one) { o.dies.Store(true) }, 200, []int{1, 1, 0}},
		{"without lb_retry_match it is not sent again, for it was a POST", map[string]any{"retries": 3, "try_interval": 1},
			func(o *one) { o.dies.Store(true) }, 502, []int{1, 0, 0}},
		{"without lb_retries it is not sent again", nil, func(o *one) { o.dies.Store(true) }, 502, []int{1, 0, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := several(t, ollamatest.Says("m", "m"))
			test.spoil(all[0])
			off := false
			g := inFrontOf(t, http1, ollamaadapter.Handler{CoalesceLoads: &off}, balancing(all, test.options))
			resp := g.post(t, saying(`"temperature":0.25`))
			if resp.StatusCode != test.status {
				t.Errorf("got %s", resp.Status)
			}
			if test.status == 200 {
				says(t, resp, "m")
				if sent := all[1].chats[0]; !strings.Contains(sent, `"temperature":0.25`) || !json.Valid([]byte(sent)) {
					t.Errorf("the second is sent %s", sent)
				}
			}
			if got := counts(all); !slices.Equal(got, test.want) {
				t.Errorf("they were asked %v times, want %v", got, test.want)
			}
		})
	}
	t.Run("not the part that was answered", func(t *testing.T) {
		for _, stream := range []string{`"stream":true`, ""} {
			all := several(t, answers(ollamatest.Answer{Content: []string{"a", "b"}, Fault: ollamatest.Reset, FaultAt: 1}))
			off := false
			g := inFrontOf(t, http1, ollamaadapter.Handler{CoalesceLoads: &off}, balancing(all, retrying))
			resp := g.post(t, saying(stream))
			if stream == "" {
				if resp.StatusCode != 502 {
					t.Errorf("got %s", resp.Status)
				}
			} else if got := eventsOf(resp).story(t); !slices.Equal(got, []string{"role assistant", "a", "error upstream_error"}) {
				t.Errorf("the client reads %q", got)
			}
			if end := g.ended(t); end.Reason != record.UpstreamError {
				t.Errorf("the reason is %q", end.Reason)
			}
			if got := counts(all); !slices.Equal(got, []int{1, 0, 0}) {
				t.Errorf("they were asked %v times", got)
			}
		}
	})
	t.Run("an Ollama that is not there, whatever retry_match says", func(t *testing.T) {
		all := several(t, ollamatest.Says("m", "m"))
		gone := httptest.NewServer(nil)
		all[0].address = gone.Listener.Addr().String()
		gone.Close()
		g := inFrontOf(t, http1, ollamaadapter.Handler{}, balancing(all, map[string]any{"retries": 3, "try_interval": 1}))
		says(t, g.post(t, saying("")), "m")
		if got := counts(all); !slices.Equal(got, []int{0, 1, 0}) {
			t.Errorf("they were asked %v times", got)
		}
	})
	t.Run("all of them die: then the client is told", func(t *testing.T) {
		all := several(t, ollamatest.Says("m", "m"))
		for _, o := range all {
			o.dies.Store(true)
		}
		g := inFrontOf(t, http1, ollamaadapter.Handler{}, balancing(all, retrying))
		resp := g.post(t, saying(""))
		if _, code := failure(t, resp); resp.StatusCode != 502 || code != "upstream_error" {
			t.Errorf("got %s %s", resp.Status, code)
		}
		for i, n := range counts(all) {
			if n == 0 {
				t.Errorf("the Ollama %d was not tried", i)
			}
		}
	})
}

func TestAnOllamaThatIsNotHealthyIsLeftOut(t *testing.T) {
	all := several(t, loadable("m"))[:2]
	all[0].load(t, "m")
	healthy := all[0].Handler
	var ill atomic.Bool
	all[0].Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ill.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		healthy.ServeHTTP(w, r)
	})
	proxying := balancing(all, nil)
	proxying["health_checks"] = map[string]any{"active": map[string]any{"uri": "/api/version", "interval": "50ms"}}
	g := inFrontOf(t, http1, ollamaadapter.Handler{}, proxying)
	says(t, g.post(t, saying("")), "m")
	ill.Store(true)
	for until := time.Now().Add(patience); all[1].asked() == 0; time.Sleep(10 * time.Millisecond) {
		resp := g.post(t, saying(""))
		read(t, resp)
		if time.Now().After(until) {
			t.Fatalf("the healthy one gets nothing: %s", resp.Status)
		}
	}
	says(t, g.post(t, saying("")), "m")
}

func TestLbPolicyInACaddyfile(t *testing.T) {
	for _, test := range []struct{ name, in, want, fails string }{
		{"alone", "ollama_model", `{}`, ""},
		{"with everything", "ollama_model {\n\tpoll 10s\n\tbusy 2\n\tconversations 100\n}", `{"poll":10000000000,"busy":2,"conversations":100}`, ""},
		{"without polls", "ollama_model {\n\tpoll off\n}", `{"poll":0}`, ""},
		{"an argument", "ollama_model fast", "", "Testfile:1"},
		{"an option nobody knows", "ollama_model {\n\tpolls 1s\n}", "", "Testfile:2"},
		{"an option twice", "ollama_model {\n\tbusy 1\n\tbusy 1\n}", "", "Testfile:3"},
		{"busy with nothing", "ollama_model {\n\tbusy 0\n}", "", "greater than 0"},
		{"polls of nothing", "ollama_model {\n\tpoll 0s\n}", "", "poll"},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy := new(ollamaadapter.Selection)
			err := policy.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.in))
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("fails with %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(policy)
			if err != nil || string(got) != test.want {
				t.Errorf("is %s, %v", got, err)
			}
		})
	}
	for name, in := range map[string]string{"poll": `{"poll":1}`, "busy": `{"busy":-1}`, "conversations": `{"conversations":-1}`, "bussy": `{"bussy":1}`} {
		if _, err := caddyContext(t).LoadModuleByID("http.reverse_proxy.selection_policies.ollama_model", json.RawMessage(in)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: fails with %v", in, err)
		}
	}
}
