package ollamaadapter_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
)

// A heartbeat and the end of an answer may be due at once. The one that comes first
// is whole, and nothing comes after an end.
func TestAFailureAndAHeartbeatAtOnce(t *testing.T) {
	const interval = 10 * time.Millisecond
	for _, test := range []struct {
		name, code string
		fail       func(http.ResponseWriter)
	}{
		{"a full queue", "server_overloaded", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"error":"server busy, please try again"}`)
		}},
		{"an error line", "upstream_error", func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"error":"CANARY"}`+"\n") }},
		{"an end without a line", "upstream_error", func(http.ResponseWriter) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			upstream := watch(t, func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(interval - time.Duration(rand.IntN(1500))*time.Microsecond) // less what its way takes
				test.fail(w)
			})
			g := inFront(t, ollamaadapter.Handler{Heartbeat: lasting(interval), CoalesceLoads: new(bool)}, upstream.address())
			ask := func() {
				resp, err := g.client.Post(g.URL+"/v1/chat/completions", "application/json", strings.NewReader(saying(`"stream":true`)))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				status := resp.StatusCode >= 500 && strings.HasPrefix(string(body), `{"error":{`)
				event := resp.StatusCode == 200 && strings.HasSuffix(string(body), `,"code":"`+test.code+`"}}`+"\n\n")
				if err != nil || !status && !event {
					t.Errorf("%s, %v: %s", resp.Status, err, body)
				}
			}
			var clients sync.WaitGroup
			for range 16 {
				clients.Go(func() {
					for range 30 { // together fewer than there is room for in g.endings
						ask()
					}
				})
			}
			clients.Wait()
		})
	}
}
