package ollamaadapter_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// silentAt is an Ollama that takes every question and answers those at one path never; asked
// is told of each.
func silentAt(path string, asked func()) http.Handler {
	ollama := ollamatest.NewHandler(ollamatest.Says("m", "hi"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not tell when the gateway leaves
			asked()
			<-r.Context().Done()
			return
		}
		ollama.ServeHTTP(w, r)
	})
}

// What the gateway asks besides, of what an Ollama has and can, it has little patience for:
// one that loads a model from a slow disk may well answer too late. Nor is it the Ollama's
// failure if the client leaves meanwhile. With fail_duration it must serve on.
func TestASideQuestionThatIsNotAnsweredIsNoFailureOfAnOllama(t *testing.T) {
	for _, test := range []struct {
		name   string
		end    error // of the request, while Ollama is silent
		reason string
		status int
	}{
		{"it is asked no longer", nil, "", http.StatusOK},
		{"the client leaves", context.Canceled, record.ClientGone, record.StatusClientGone},
		{"the operator cancels the request", record.ErrCancelled, record.Cancelled, http.StatusServiceUnavailable},
	} {
		for _, path := range []string{"/api/version", "/api/tags", "/api/show"} {
			t.Run(test.name+", "+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancelCause(t.Context())
					b := inBubble(t, ollamaadapter.Handler{}, leavingOut("first", "ollama:11434"), map[string]http.Handler{
						"ollama:11434": silentAt(path, func() {
							if test.end != nil {
								cancel(test.end)
							}
						}),
					})
					status, rec := b.post(ctx, saying(""))
					if status != test.status || rec.Reason != test.reason {
						t.Errorf("the answer is %d, the reason %q; want %d, %q", status, rec.Reason, test.status, test.reason)
					}
					if status, rec := b.post(t.Context(), saying("")); status != http.StatusOK || len(rec.UpstreamTurns) > 0 {
						t.Errorf("the next is answered %d; it turned %v", status, rec.UpstreamTurns)
					}
				})
			})
		}
	}
}

// An Ollama that is gone is left out at the first question, whatever that is about.
func TestASideQuestionFindsThatAnOllamaIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, ollamaadapter.Handler{}, leavingOut("first", "gone:11434", "ollama:11434"), map[string]http.Handler{
			"ollama:11434": ollamatest.NewHandler(ollamatest.Says("m", "hi")),
		})
		if status, rec := b.post(t.Context(), saying("")); status != http.StatusOK {
			t.Errorf("the answer is %d, the reason %q", status, rec.Reason)
		}
	})
}

// leavingOut is reverse_proxy in front of these, of which it leaves out for a long time
// what has failed once.
func leavingOut(policy string, addresses ...string) map[string]any {
	var upstreams []map[string]string
	for _, address := range addresses {
		upstreams = append(upstreams, map[string]string{"dial": address})
	}
	return map[string]any{
		"upstreams":      upstreams,
		"health_checks":  map[string]any{"passive": map[string]any{"fail_duration": "10h"}},
		"load_balancing": map[string]any{"selection_policy": map[string]string{"policy": policy}},
	}
}
