package integration

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// series are what a scrape tells, by names and labels as Prometheus writes them.
type series map[string]float64

// scrape asks as Prometheus does.
func (g *gateway) scrape(t *testing.T) series {
	t.Helper()
	all := make(series)
	for line := range strings.Lines(g.admin(t, "/metrics")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all[line[:at]] = value
	}
	return all
}

// of counts the series of a metric, and of its parts if it is a histogram.
func (s series) of(name string) (n int) {
	for text := range s {
		if strings.HasPrefix(text, name) {
			n++
		}
	}
	return n
}

func (s series) expect(t *testing.T, want series) {
	t.Helper()
	for text, value := range want {
		if got, told := s[text]; !told || got != value {
			t.Errorf("%s is %v (%v), want %v", text, got, told, value)
		}
	}
}

// All that is measured of requests, as it stands in a scrape, and that a reload loses
// nothing of it.
func TestWhatAScrapeTellsOfRequests(t *testing.T) {
	t.Parallel()
	said := ollamatest.Answer{Content: []string{"Hello", " wide", " world"}, Interval: 100 * time.Millisecond} // or it would be one chunk
	upstream := ollamatest.NewServer(ollamatest.Model{Name: "hello", Answer: func(ollama.ChatRequest) ollamatest.Answer { return said }})
	t.Cleanup(upstream.Close)
	g := startGateway(t, upstream.Address())
	if s := g.scrape(t); s.of("caddy_ollama_adapter_upstream_up") != 0 || s["caddy_audit_log_in_flight"] != 0 {
		t.Error("before the first request nothing is known of the upstream")
	}
	client, token := g.from("127.0.0.2"), tokenFor(t, "bot")
	posts := func(body string, status int) {
		t.Helper()
		if a := g.mustPost(client, token, body); a.status != status {
			t.Errorf("got %d %s, want %d", a.status, a.body, status)
		}
	}
	posts(chatBody("hello", false), 200)
	posts(chatBody("hello", true), 200)
	posts(chatBody("invented", false), 404)
	forged := signedToken(t, strings.Repeat("x", 48), jwt.MapClaims{"sub": "bot", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()})
	if a := g.mustPost(g.from("127.0.0.3"), forged, chatBody("hello", false)); a.status != 403 {
		t.Errorf("got %d", a.status)
	}
	g.scrape(t).expect(t, series{`caddy_ollama_adapter_upstream_up`: 1})
	upstream.Close()
	posts(chatBody("hello", false), 502)
	if err := g.reload(g.caddyfile + "\n"); err != nil {
		t.Fatal(err)
	}
	g.records(5)

	const chat = `gen_ai_operation_name="chat",gen_ai_request_model="hello"`
	s := g.scrape(t)
	s.expect(t, series{
		`caddy_audit_log_requests_total{outcome="success",reason="ok"}`:                                                                          2,
		`caddy_audit_log_requests_total{outcome="failure",reason="model_not_found"}`:                                                             1,
		`caddy_audit_log_requests_total{outcome="failure",reason="bad_token:signature"}`:                                                         1,
		`caddy_audit_log_requests_total{outcome="failure",reason="upstream_error"}`:                                                              1,
		`caddy_audit_log_failures_total`:                                                                                                         0,
		`caddy_audit_log_in_flight`:                                                                                                              0,
		`caddy_ollama_adapter_upstream_errors_total{reason="upstream_error"}`:                                                                    1,
		`caddy_ollama_adapter_upstream_errors_total{reason="upstream_stalled"}`:                                                                  0,
		`caddy_ollama_adapter_upstream_up`:                                                                                                       0,
		`gen_ai_client_operation_duration_seconds_count{error_type="",` + chat + `}`:                                                             2,
		`gen_ai_client_operation_duration_seconds_count{error_type="upstream_error",` + chat + `}`:                                               1,
		`gen_ai_client_operation_duration_seconds_count{error_type="model_not_found",gen_ai_operation_name="chat",gen_ai_request_model="other"}`: 1,
		`gen_ai_client_operation_time_to_first_chunk_seconds_count{` + chat + `}`:                                                                1,
		`gen_ai_client_operation_time_per_output_chunk_seconds_count{` + chat + `}`:                                                              1,
		`gen_ai_client_token_usage_count{` + chat + `,gen_ai_token_type="input"}`:                                                                2,
		`gen_ai_client_token_usage_count{` + chat + `,gen_ai_token_type="output"}`:                                                               2,
		`gen_ai_client_token_usage_sum{` + chat + `,gen_ai_token_type="output"}`:                                                                 6,
	})
	for text := range s {
		for _, client := range []string{"127.0.0.2", "127.0.0.3", "clawdbot", "invented", `"bot"`} {
			if strings.Contains(text, client) {
				t.Errorf("%s is in a label: %s", client, text)
			}
		}
	}
}

// Clients that invent names of models make no series, here or in Prometheus.
func TestInventedModelsAreNoSeries(t *testing.T) {
	t.Parallel()
	names := 10_000
	if raceEnabled || testing.Short() {
		names = 1000
	}
	g := startGatewayWith(t, scripted(t).Address(), "rate 5/s", "exempt 127.0.0.2\n\t\t\trate 5/s")
	client, token := g.from("127.0.0.2"), tokenFor(t, "bot")
	if a := g.mustPost(client, token, chatBody("hello", false)); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	before := g.scrape(t)
	queue := make(chan string)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for name := range queue {
				if a, err := g.post(client, token, chatBody(name, false)); err != nil || a.status != 404 {
					t.Errorf("%s: got %d %s, %v", name, a.status, a.body, err)
				}
			}
		})
	}
	for n := range names {
		queue <- fmt.Sprintf("invented-%d", n)
	}
	close(queue)
	all.Wait()
	after := g.scrape(t)
	if n := after[`gen_ai_client_operation_duration_seconds_count{error_type="model_not_found",gen_ai_operation_name="chat",gen_ai_request_model="other"}`]; n != float64(names) {
		t.Errorf("%v requests for models that are not there are counted, want %d", n, names)
	}
	for _, metric := range []string{"gen_ai_", "caddy_audit_log_", "caddy_ollama_adapter_"} {
		// one histogram more, with 15 buckets, a sum and a count; one counter more
		if more := after.of(metric) - before.of(metric); more > 17 {
			t.Errorf("%s… has %d series more than before", metric, more)
		}
	}
}
