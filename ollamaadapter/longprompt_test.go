package ollamaadapter_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// Long texts are sent as the client wrote them, in pieces. They arrive whole, over whatever
// speaks with the upstream, as often as there are choices, and when the first upstream that
// was asked is dead.
func TestLongPromptsArriveWhole(t *testing.T) {
	const choices = 3
	long := strings.Repeat("lorem é \n", 20_000)
	quoted, _ := json.Marshal(long)
	schema := `{"type":"object","properties":{"a":{"type":"string","description":"` + strings.Repeat("z", 9000) + `"}}}`
	body := fmt.Sprintf(`{"model":"m","n":%d,"messages":[{"role":"system","content":%s},{"role":"user","content":"short"},`+
		`{"role":"assistant","content":%s},{"role":"user","content":%s}],"tools":[{"type":"function","function":{"name":"f","parameters":%s}}]}`,
		choices, quoted, quoted, quoted, schema)

	for _, version := range []string{"1.1", "h2c"} {
		for _, buffers := range []int{0, -1} {
			t.Run(fmt.Sprintf("HTTP %s, request_buffers %d", version, buffers), func(t *testing.T) {
				model := ollamatest.NewHandler(ollamatest.Says("m", "hi"))
				asked := make(chan ollama.ChatRequest, choices)
				upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/api/chat" {
						data, err := io.ReadAll(r.Body)
						var req ollama.ChatRequest
						if err != nil || json.Unmarshal(data, &req) != nil || r.ContentLength != int64(len(data)) {
							t.Errorf("%d bytes came, of %d (%v)", len(data), r.ContentLength, err)
						}
						asked <- req
						r.Body = io.NopCloser(strings.NewReader(string(data)))
					}
					model.ServeHTTP(w, r)
				}))
				upstream.Config.Protocols = new(http.Protocols)
				upstream.Config.Protocols.SetHTTP1(true)
				upstream.Config.Protocols.SetUnencryptedHTTP2(true)
				upstream.Start()
				t.Cleanup(upstream.Close)
				dead, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				dead.Close()
				g := inFrontOf(t, http1, ollamaadapter.Handler{CoalesceLoads: new(bool)}, map[string]any{
					"transport":       map[string]any{"protocol": "http", "versions": []string{version}},
					"request_buffers": buffers,
					"load_balancing":  map[string]any{"selection_policy": map[string]any{"policy": "first"}, "retries": 2},
					"health_checks":   map[string]any{"passive": map[string]any{"fail_duration": "1m"}},
					"upstreams":       []map[string]string{{"dial": dead.Addr().String()}, {"dial": upstream.Listener.Addr().String()}},
				})
				if resp := g.post(t, body); resp.StatusCode != 200 {
					t.Fatalf("%s: %s", resp.Status, read(t, resp))
				}
				for range choices {
					req := <-asked
					if len(req.Messages) != 4 || req.Messages[0].Content != long || req.Messages[1].Content != "short" ||
						req.Messages[2].Content != long || req.Messages[3].Content != long {
						t.Errorf("the messages are others")
					}
					if len(req.Tools) != 1 || len(req.Tools[0].Function.Parameters) < 9000 {
						t.Errorf("the tools are %.100v", req.Tools)
					}
				}
			})
		}
	}
}
