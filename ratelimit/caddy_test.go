package ratelimit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// gateway is a Caddy in this process, in front of an upstream. There can be but one.
type gateway struct {
	address, storage, upstream string
	client                     *http.Client
}

// newGateway is one in front of next. It runs from its first load until the test ends.
func newGateway(t *testing.T, next http.HandlerFunc) *gateway {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	upstream, storage := httptest.NewServer(next), t.TempDir()
	transport := new(http.Transport)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		upstream.Close()
	})
	return &gateway{
		address: listener.Addr().String(), storage: storage, upstream: upstream.Listener.Addr().String(),
		client: &http.Client{Transport: again{transport}},
	}
}

// again sends a request a second time whose connection was closed without an answer: Caddy
// does that at a reload to those who wait to be let in at its old listener, which may be a
// moment after the reload.
type again struct{ *http.Transport }

func (a again) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := a.Transport.RoundTrip(r)
	if err == nil || r.Context().Err() != nil {
		return answer, err
	}
	second := r.Clone(r.Context())
	if r.GetBody != nil {
		if second.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	return a.Transport.RoundTrip(second)
}

// config is one with these global options, and these directives before the upstream.
func (g *gateway) config(t *testing.T, global, directives string) []byte {
	t.Helper()
	text := fmt.Sprintf(`{
		admin off
		persist_config off
		auto_https off
		grace_period 10s
		storage file_system %s
		log {
			level FATAL
		}
		%s
	}
	http://%s {
		handle /metrics {
			metrics
		}
		handle {
			route {
				%s
				error /denied "no token" 401
				reverse_proxy %s
			}
		}
		handle_errors {
			respond "error {err.status_code}"
		}
	}`, g.storage, global, g.address, directives, g.upstream)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	return adapted
}

func (g *gateway) load(t *testing.T, global, directives string) {
	t.Helper()
	if err := caddy.Load(g.config(t, global, directives), true); err != nil {
		t.Fatal(err)
	}
	g.client.CloseIdleConnections() // of the configuration before
}

// get returns the answer, and its body.
func (g *gateway) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	response, err := g.client.Get("http://" + g.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestAnswersOfCaddyTellWhereTheirClientStands(t *testing.T) {
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		for range 2 { // as one that has a limiter of its own behind another
			w.Header().Add("X-RateLimit-Limit-Requests", "60000")
			w.Header().Add("x-ratelimit-remaining-requests", "59999")
			w.Header().Add("X-Ratelimit-Reset-Requests", "6m0s")
			w.Header().Add("X-RateLimit-Limit-Tokens", "150000")
		}
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
	})
	g.load(t, "", `ip_throttle {
		rate 1/m
		burst 6
		penalty 3 10m
	}
	ip_throttle {
		zone inner
		rate 1/h
		burst 100
		key {http.request.header.X-User}
	}`)
	for _, step := range []struct {
		path      string
		status    int
		remaining string
	}{
		{"/", 200, "5"},
		{"/denied", 401, "4"},
		{"/broken", 502, "3"},
		{"/", 200, "2"},
		{"/denied", 401, "1"},
		{"/denied", 401, "0"},
		{"/", 429, "0"},
	} {
		response, body := g.get(t, step.path)
		if response.StatusCode != step.status {
			t.Fatalf("%s: status %d %s, want %d", step.path, response.StatusCode, body, step.status)
		}
		if step.status >= 400 && body != "error "+strconv.Itoa(step.status) {
			t.Errorf("%s: the body is %q, not that of handle_errors", step.path, body)
		}
		for name, want := range map[string]string{"Limit": "6", "Remaining": step.remaining} {
			if got := response.Header["X-Ratelimit-"+name+"-Requests"]; len(got) != 1 || got[0] != want {
				t.Errorf("%s, %d: X-RateLimit-%s-Requests is %q, want %s", step.path, step.status, name, got, want)
			}
		}
		if got := response.Header["X-Ratelimit-Reset-Requests"]; len(got) != 1 {
			t.Errorf("%s, %d: X-RateLimit-Reset-Requests is %q", step.path, step.status, got)
		} else if reset, err := time.ParseDuration(got[0]); err != nil || reset <= 0 || reset > 6*time.Minute {
			t.Errorf("%s, %d: X-RateLimit-Reset-Requests is %q", step.path, step.status, got)
		}
		wait, ms := response.Header.Get("Retry-After"), response.Header.Get("Retry-After-Ms")
		if (step.status == 429) != (wait != "" && ms != "") {
			t.Errorf("%s, %d: Retry-After is %q, Retry-After-Ms %q", step.path, step.status, wait, ms)
		}
		if seconds, _ := strconv.Atoi(wait); seconds > 60 {
			t.Errorf("told to wait %d s for a limit that clears within a minute", seconds)
		}
	}
}

// OpenAI's SDK waits as long as it is told, and no longer, before it asks again.
func TestOpenAIsSDKIsLetInWhenItAsksAgain(t *testing.T) {
	var served atomic.Int32
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hi"}}]}`)
	})
	for _, test := range []struct {
		name, rate string
		retries    int
		most       time.Duration // until the second is served
	}{
		{"a fraction of a second", "3/s", 1, time.Second},
		{"more than a second", "50/m", 1, 1900 * time.Millisecond}, // Retry-After says 2
		{"with no retries it sees the refusal", "1/h", 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.load(t, "", "ip_throttle {\n rate "+test.rate+"\n zone "+strings.ReplaceAll(test.rate, "/", ".")+"\n}")
			served.Store(0)
			client := openai.NewClient(option.WithBaseURL("http://"+g.address+"/v1"), option.WithAPIKey("none"),
				option.WithHTTPClient(g.client), option.WithMaxRetries(test.retries))
			ask := func() error {
				_, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
					Model: "hello", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hi")},
				})
				return err
			}
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			since := time.Now()
			err := ask()
			took := time.Since(since)
			if test.retries == 0 {
				if refusal, ok := errors.AsType[*openai.Error](err); !ok || refusal.StatusCode != 429 {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil || served.Load() != 2 || took > test.most {
				t.Errorf("asked again after %v: %v, %d were served", took, err, served.Load())
			}
		})
	}
}

// heard is an events handler of a configuration that has a name.
type heard struct {
	Name string `json:"name"`
}

var events struct {
	sync.Mutex
	of map[string][]map[string]any
}

func init() {
	caddy.RegisterModule(new(heard))
}

func (*heard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.heard", New: func() caddy.Module { return new(heard) }}
}

func (h *heard) Handle(_ context.Context, e caddy.Event) error {
	events.Lock()
	defer events.Unlock()
	if events.of == nil {
		events.of = make(map[string][]map[string]any)
	}
	events.of[h.Name] = append(events.of[h.Name], e.Data)
	return nil
}

// heardBy empties what the configuration of that name has heard.
func heardBy(name string) []map[string]any {
	events.Lock()
	defer events.Unlock()
	got := events.of[name]
	delete(events.of, name)
	return got
}

// listening is a configuration with that events handler.
func (g *gateway) listening(t *testing.T, name, directives string) []byte {
	t.Helper()
	config := g.config(t, "", directives)
	return bytes.Replace(config, []byte(`"apps":{`), fmt.Appendf(nil,
		`"apps":{"events":{"subscriptions":[{"events":[%q],"handlers":[{"handler":"heard","name":%q}]}]},`, eventBlocked, name), 1)
}

func TestBlocksReachTheEventsHandlerOfTheConfigurationInForce(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-release
		}
		w.WriteHeader(404)
	})
	const throttle = "ip_throttle {\n penalty 1 1h\n zone heard\n}"
	if err := caddy.Load(g.listening(t, "old", throttle), true); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		response, err := http.Get("http://" + g.address + "/slow")
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		response.Body.Close()
		answered <- response.StatusCode
	}()
	<-begun
	if err := caddy.Load(g.listening(t, "new", throttle), true); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(g.listening(t, "rejected", throttle+"\nip_throttle {\n penalty 2 1h\n zone heard\n}"), true); err == nil {
		t.Fatal("one zone with two limits is accepted")
	}
	close(release) // and the request of the old configuration ends
	if status := <-answered; status != 404 {
		t.Fatalf("status %d", status)
	}
	until(t, "the event is heard", func() bool { return len(heardBy("new")) == 1 })
	if len(heardBy("old"))+len(heardBy("rejected")) != 0 {
		t.Error("the event goes to configurations that are not in force")
	}
	if response, _ := g.get(t, "/"); response.StatusCode != 403 {
		t.Errorf("status %d, want the client blocked", response.StatusCode)
	}
}

func TestMetricsOfTwoSitesAndAfterAReload(t *testing.T) {
	g := newGateway(t, func(http.ResponseWriter, *http.Request) {})
	const throttle = "ip_throttle {\n rate 1/h\n burst 3\n zone scraped\n}"
	twice := "@a path /a*\nroute @a {\n" + throttle + "\n}\n@b path /b*\nroute @b {\n" + throttle + "\n}"
	g.load(t, "", twice)
	g.get(t, "/a")
	g.get(t, "/b")
	g.load(t, "", twice)
	g.get(t, "/a")
	g.get(t, "/b") // the fourth
	_, text := g.get(t, "/metrics")
	for _, want := range []string{
		`caddy_ip_throttle_requests_total{verdict="passed",zone="scraped"} 3`,
		`caddy_ip_throttle_requests_total{verdict="rate_limited",zone="scraped"} 1`,
		`caddy_ip_throttle_clients{zone="scraped"} 1`,
		`caddy_ip_throttle_in_flight{zone="scraped"} 0`,
	} {
		if strings.Count(text, want+"\n") != 1 {
			t.Errorf("%s is not told once", want)
		}
	}
	if strings.Contains(text, "127.0.0.1\"") {
		t.Error("a metric names a client")
	}
}

// `caddy validate` provisions and does not start.
func TestValidatingWritesNothing(t *testing.T) {
	g := newGateway(t, func(http.ResponseWriter, *http.Request) {})
	config := g.config(t, "", "ip_throttle {\n rate 1/s\n zone validated\n}")
	var parsed caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &parsed); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&parsed); err != nil {
		t.Fatal(err)
	}
	if files, err := filepath.Glob(g.storage + "/ip_throttle/*"); err != nil || len(files) != 0 {
		t.Errorf("written: %v, %v", files, err)
	}
	if uses, exists := zones.References(zoneKey{name: "validated"}); exists {
		t.Errorf("the zone is used %d times", uses)
	}
}
