package ollamatest_test

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestAFullQueueRefusesWorkUntilItIsNoMore(t *testing.T) {
	const refusal = `{"error":"server busy, please try again.  maximum pending requests exceeded"}`
	for _, test := range []struct {
		name, path, body string
		refused          bool
	}{
		{"a chat", "/api/chat", asking(true), true},
		{"a whole chat", "/api/chat", asking(false), true},
		{"a prompt", "/api/generate", `{"model":"m","prompt":"hi"}`, true},
		{"an embedding", "/api/embed", `{"model":"m","input":"hi"}`, true},
		{"a load", "/api/chat", `{"model":"m"}`, true},
		{"what unloads needs no queue", "/api/chat", `{"model":"m","keep_alive":0}`, false},
		{"nor does a description", "/api/show", `{"model":"m"}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, loadsAtOnce())
			server.Busy(true)
			resp := post(t, client, server.URL+test.path, test.body)
			if got := read(t, resp); (resp.StatusCode == 503) != test.refused || (got == refusal) != test.refused {
				t.Errorf("%s: %s", resp.Status, got)
			}
			if n := len(server.Loads()); n > 0 {
				t.Errorf("%d loads", n)
			}
			for _, req := range server.Requests() {
				<-req.Ended()
				if req.Cancelled() {
					t.Error("the caller is said to have left")
				}
			}
			server.Busy(false)
			if resp := post(t, client, server.URL+test.path, test.body); resp.StatusCode != 200 {
				t.Errorf("no longer busy: %s", resp.Status)
			}
		})
	}
}

// The queue is full, not Ollama down.
func TestAFullQueueDoesNotHideTheModels(t *testing.T) {
	server, client := start(t, ollamatest.Says("m", "hi"))
	server.Busy(true)
	resp, err := client.Get(server.URL + "/api/tags")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := read(t, resp); resp.StatusCode != 200 || !strings.Contains(got, `"name":"m"`) {
		t.Errorf("%s: %s", resp.Status, got)
	}
}
