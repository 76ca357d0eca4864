package ollamaadapter_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/enginetest"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// A client that asks through two gateways is told what one alone would tell it.
func TestAGatewayInFrontOfAGatewayTellsTheSameOfModels(t *testing.T) {
	adapter, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	outer := inFront(t, ollamaadapter.Handler{Upstream: "openai"}, adapter.address)
	for _, path := range []string{"/v1/models", "/v1/models/m"} {
		want := read(t, adapter.do(t, t.Context(), http.MethodGet, path, ""))
		got := read(t, outer.do(t, t.Context(), http.MethodGet, path, ""))
		if got != want || !strings.Contains(want, `"capabilities":["`) {
			t.Errorf("%s: through two\n%s\nthrough one\n%s", path, got, want)
		}
	}
}

func TestOnlyWordsOfCapabilitiesArePassedOn(t *testing.T) {
	for _, test := range []struct {
		name string
		told any
		want string // empty: none
	}{
		{"words", []string{"completion", "tools", "text-to-image"}, `["completion","tools","text-to-image"]`},
		{"words among others", []any{"tools", 1, nil, "<b>", strings.Repeat("a", 65)}, `["tools"]`},
		{"an object, as Mistral has it", map[string]any{"vision": true}, ""},
		{"a word by itself", "tools", ""},
		{"none", []string{}, ""},
		{"more than there can be", strings.Split(strings.Repeat("a ", 5000), " "), `["` + strings.Repeat(`a","`, 31) + `a"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := engine(t, enginetest.VLLM, ollamaadapter.Handler{}, enginetest.Model{
				Name: "m", ContextLength: 4096, Told: map[string]any{"capabilities": test.told},
			})
			var model struct {
				Context      int             `json:"context_length"`
				Capabilities json.RawMessage `json:"capabilities"`
			}
			body := read(t, g.do(t, t.Context(), http.MethodGet, "/v1/models/m", ""))
			if err := json.Unmarshal([]byte(body), &model); err != nil || model.Context != 4096 || string(model.Capabilities) != test.want {
				t.Errorf("got %s", body)
			}
		})
	}
}

func TestAnEnginesFingerprintIsPassedOn(t *testing.T) {
	for _, test := range []struct {
		name string
		told any
		want string // empty: none
	}{
		{"llama.cpp's", "b6123-ab12cd3", "b6123-ab12cd3"},
		{"TGI's", "3.3.4-sha-9f38d93", "3.3.4-sha-9f38d93"},
		{"a number", 7, ""},
		{"an object", map[string]any{"a": 1}, ""},
		{"one that is too long", strings.Repeat("a", 65), ""},
		{"one that is no plain word", "a\u2028<b>", ""},
		{"none", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := engine(t, enginetest.LlamaCpp, ollamaadapter.Handler{}, replies(enginetest.Answer{Content: []string{"a", "b"}, Fingerprint: test.told}))
			check := func(object string) {
				t.Helper()
				var answer struct {
					Fingerprint *string `json:"system_fingerprint"`
				}
				if err := json.Unmarshal([]byte(object), &answer); err != nil {
					t.Fatalf("%q: %v", object, err)
				}
				if (answer.Fingerprint == nil) != (test.want == "") || answer.Fingerprint != nil && *answer.Fingerprint != test.want {
					t.Errorf("the client reads %s", object)
				}
			}
			check(read(t, g.post(t, saying(`"n":2`))))
			check(read(t, g.do(t, t.Context(), http.MethodPost, "/v1/completions", `{"model":"m","prompt":"hi"}`)))
			events := eventsOf(g.post(t, saying(`"stream":true,"stream_options":{"include_usage":true}`)))
			for data := events.next(t); data != "[DONE]"; data = events.next(t) {
				check(data)
			}
		})
	}
	t.Run("after a heartbeat that came before it", func(t *testing.T) {
		pace := make(chan struct{})
		beat := caddy.Duration(20 * time.Millisecond)
		g, _ := engine(t, enginetest.LlamaCpp, ollamaadapter.Handler{Heartbeat: &beat},
			replies(enginetest.Answer{Content: []string{"a"}, Pace: pace, Fingerprint: "b1"}))
		events := eventsOf(g.post(t, saying(`"stream":true`)))
		if first := events.next(t); strings.Contains(first, "fingerprint") {
			t.Errorf("the first event is %s", first)
		}
		close(pace)
		last := ""
		for data := events.next(t); data != "[DONE]"; data = events.next(t) {
			last = data
		}
		if !strings.Contains(last, `"system_fingerprint":"b1"`) {
			t.Errorf("the last event is %s", last)
		}
	})
}
