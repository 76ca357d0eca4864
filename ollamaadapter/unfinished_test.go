package ollamaadapter_test

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// awaitAsked waits until so many requests have come to the Ollamas.
func awaitAsked(t *testing.T, all []*one, n int) {
	t.Helper()
	for until := time.Now().Add(patience); sum(counts(all)) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("they were asked %v times", counts(all))
		}
	}
}

// With fail_duration, reverse_proxy leaves out an Ollama that has failed. An operator who
// cancels a request must not put out of service those that could have answered it. Nor may
// the end of the process have it sent to the next one, and the next.
func TestWhatIsEndedHereIsNoFailureOfAnOllama(t *testing.T) {
	off := false
	short, never := caddy.Duration(100*time.Millisecond), caddy.Duration(0)
	cancel := func(g *gateway) { (<-g.cancels)() }
	stop := func(*gateway) { ollamaadapter.Stop() }
	for _, test := range []struct {
		name    string
		adapter ollamaadapter.Handler
		ollamas int
		retries map[string]any
		end     func(*gateway) // ends the request; nil: it ends by itself
		reason  string
		asked   int // of the Ollamas, by the request that is ended
		status  int // of the next request
	}{
		{"cancelled by the operator", ollamaadapter.Handler{}, 1, nil, cancel, record.Cancelled, 1, 200},
		{"cancelled by the operator, where it would be sent again", ollamaadapter.Handler{}, 3, retrying, cancel, record.Cancelled, 1, 200},
		{"the process ends", ollamaadapter.Handler{}, 1, nil, stop, record.ShuttingDown, 1, 200},
		{"the process ends, where it would be sent again", ollamaadapter.Handler{}, 3, retrying, stop, record.ShuttingDown, 1, 200},
		{"longer than max_duration", ollamaadapter.Handler{MaxDuration: short, FirstByteTimeout: &never}, 1, nil, nil, record.UpstreamStalled, 1, 200},
		{"longer than max_duration, where it would be sent again", ollamaadapter.Handler{MaxDuration: short, FirstByteTimeout: &never}, 3, retrying, nil, record.UpstreamStalled, 1, 200},
		{"an Ollama that is silent is one that fails", ollamaadapter.Handler{FirstByteTimeout: &short}, 1, nil, nil, record.UpstreamStalled, 1, 503},
		{"but the others are not", ollamaadapter.Handler{FirstByteTimeout: &short}, 3, retrying, nil, record.UpstreamStalled, 1, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			silent := answers(ollamatest.Answer{Content: []string{"a"}, Pace: make(chan struct{})})
			all := several(t, silent, ollamatest.Says("quick", "quick"))[:test.ollamas]
			proxying := balancing(all, test.retries)
			proxying["health_checks"] = map[string]any{"passive": map[string]any{"fail_duration": "1m"}}
			test.adapter.CoalesceLoads = &off
			g := inFrontOf(t, http1, test.adapter, proxying)
			if test.end != nil {
				go func() {
					awaitAsked(t, all, 1)
					test.end(g)
				}()
			}
			failure(t, g.post(t, saying("")))
			if end := g.ended(t); end.Reason != test.reason {
				t.Errorf("reason %q, want %q", end.Reason, test.reason)
			}
			if n := sum(counts(all)); n != test.asked {
				t.Errorf("it was sent %d times", n)
			}
			if resp := g.post(t, `{"model":"quick","messages":[{"role":"user","content":"hi"}]}`); resp.StatusCode != test.status {
				t.Errorf("the next request is answered %s: %s", resp.Status, read(t, resp))
			}
		})
	}
}
