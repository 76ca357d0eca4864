package ollamaadapter_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// drawn is what is new in each answer.
var drawn = regexp.MustCompile(`chatcmpl-[A-Z2-7]{26}|call_[A-Z2-7]{26}|"created":[0-9]{10}|"system_fingerprint":"fp_[0-9a-f]{10}"`)

func TestWholeAnswers(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer ollamatest.Answer
		want   string
	}{
		{"text", ollamatest.Answer{Content: []string{"hel", "lo"}, PromptTokens: 7},
			`{"index":0,"message":{"role":"assistant","content":"hello","refusal":null},"logprobs":null,"finish_reason":"stop"}],` +
				`"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}`},
		{"thinking", ollamatest.Answer{Thinking: []string{"hm"}, Content: []string{"hi"}, DoneReason: "length"},
			`{"index":0,"message":{"role":"assistant","content":"hi","refusal":null,"reasoning":"hm","reasoning_content":"hm"},"logprobs":null,"finish_reason":"length"}],` +
				`"usage":{"prompt_tokens":0,"completion_tokens":2,"total_tokens":2}}`},
		{"a tool call", ollamatest.Answer{ToolCalls: []ollama.ToolCall{{Function: ollama.FunctionCall{Name: "f", Arguments: []byte(`{"a":1}`)}}}},
			`{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"NEW","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],` +
				`"usage":{"prompt_tokens":0,"completion_tokens":1,"total_tokens":1}}`},
		{"half a rune in a tool call's arguments is replaced", ollamatest.Answer{Raw: []string{
			"{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":\"\xc3\"}}}]},\"done\":true}"}},
			`{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"NEW","type":"function","function":{"name":"f","arguments":"{\"a\":\"` + "\ufffd" + `\"}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],` +
				`"usage":{"prompt_tokens":0,"completion_tokens":1,"total_tokens":1}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := start(t, ollamaadapter.Handler{}, answers(test.answer))
			resp := g.post(t, saying(""))
			got := drawn.ReplaceAllString(read(t, resp), "NEW")
			want := `{"id":"NEW","object":"chat.completion",NEW,"model":"m",NEW,"choices":[` + test.want
			if resp.StatusCode != 200 || got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", resp.Status, got, want)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestTheAnswerNamesTheModelAsTheClientDid(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{DefaultModel: "m"}, ollamatest.Says("m:latest", "hi"))
	for name, body := range map[string]string{
		"named":      saying(""),
		"by default": `{"messages":[{"role":"user","content":"hi"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got := read(t, g.post(t, body)); !strings.Contains(got, `"model":"m"`) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestOptionsOfTheHandlerReachOllama(t *testing.T) {
	g, server := start(t, ollamaadapter.Handler{
		DefaultModel: "m", SystemRole: "merge", Defaults: map[string]any{"temperature": 0.7, "num_ctx": 32768},
	}, ollamatest.Says("m", "hi"))
	body := `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}],"temperature":1}`
	if resp := g.post(t, body); resp.StatusCode != 200 {
		t.Fatalf("%s: %s", resp.Status, read(t, resp))
	}
	got := server.Requests()[0]
	if got.Model != "m" || len(got.Messages) != 1 || got.Messages[0].Content != "s\n\nu" {
		t.Errorf("got model %q, messages %+v", got.Model, got.Messages)
	}
	if want := "map[num_ctx:32768 temperature:1]"; fmt.Sprint(got.Options) != want {
		t.Errorf("got options %v, want %s", got.Options, want)
	}
}

func TestWhatOllamaSeesOfARequest(t *testing.T) {
	sent := []string{
		"Authorization", "Bearer CANARY", "Cookie", "session=CANARY", "Origin", "https://CANARY.example",
		"Referer", "https://CANARY.example", "User-Agent", "CANARY", "Accept", "text/CANARY", "Accept-Language", "CANARY",
		"X-Forwarded-For", "192.0.2.66, CANARY", "X-Forwarded-Host", "CANARY.example", "X-Forwarded-Proto", "CANARY",
		"X-Real-Ip", "CANARY", "Forwarded", "for=CANARY", "Via", "1.1 CANARY", "X-Stainless-Lang", "CANARY",
		"X-Conversation-Id", "CANARY", "Api-Key", "CANARY", "Proxy-Authorization", "Basic CANARY", "X-Api-Key", "CANARY",
		"Upgrade", "CANARY", "Te", "trailers", "Trailer", "X-CANARY", "Sec-Fetch-Site", "CANARY",
		"X-Request-Id", "request-1", "Traceparent", "00-11-22-01", "Tracestate", "a=b",
	}
	for _, test := range []struct{ name, method, path, body string }{
		{"chat", "POST", "/v1/chat/completions?CANARY=1", saying("")},
		{"stream", "POST", "/v1/chat/completions?CANARY=1", saying(`"stream":true`)},
		{"embeddings", "POST", "/v1/embeddings?CANARY=1", `{"model":"m","input":"hi"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			upstream := watch(t, anything)
			g := inFront(t, ollamaadapter.Handler{}, upstream.address())
			if resp := g.do(t, t.Context(), test.method, test.path, test.body, sent...); resp.StatusCode != 200 {
				t.Fatalf("%s: %s", resp.Status, read(t, resp))
			}
			seen := upstream.seen[0]
			if seen.Host != "localhost" {
				t.Errorf("Host %q", seen.Host)
			}
			if all := fmt.Sprint(seen.RequestURI, seen.Header, seen.Trailer); strings.Contains(all, canary) {
				t.Errorf("Ollama sees %s", all)
			}
			allowed := []string{
				"Accept", "Accept-Encoding", "Content-Length", "Content-Type", "Traceparent", "Tracestate", "X-Request-Id",
				"Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", // Caddy's own
			}
			for _, name := range slices.Sorted(maps.Keys(seen.Header)) {
				if !slices.Contains(allowed, name) {
					t.Errorf("Ollama sees %s: %q", name, seen.Header[name])
				}
			}
			for name, want := range map[string]string{
				"X-Request-Id": "request-1", "Traceparent": "00-11-22-01", "Tracestate": "a=b",
				"Accept": "application/json", "X-Forwarded-For": "127.0.0.1",
			} {
				if got := seen.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestTrailersDoNotReachOllama(t *testing.T) {
	upstream := watch(t, anything)
	g := inFront(t, ollamaadapter.Handler{}, upstream.address())
	req, err := http.NewRequestWithContext(t.Context(), "POST", g.URL+"/v1/chat/completions", io.MultiReader(strings.NewReader(saying(""))))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-Canary": {canary}}
	resp, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if seen := upstream.seen[0]; len(seen.Trailer) > 0 || len(seen.TransferEncoding) > 0 || seen.ContentLength <= 0 {
		t.Errorf("Ollama sees trailers %v, transfer encoding %q, length %d", seen.Trailer, seen.TransferEncoding, seen.ContentLength)
	}
}

func TestOneRequestAlwaysBecomesTheSameBytes(t *testing.T) {
	upstream := watch(t, anything)
	g := inFront(t, ollamaadapter.Handler{CoalesceLoads: new(bool), Defaults: map[string]any{"num_ctx": 1, "top_k": 2, "min_p": 0.1}}, upstream.address())
	for range 20 {
		g.post(t, saying(`"temperature":1,"top_p":0.5,"seed":1,"stop":"x"`))
	}
	if all := slices.Compact(slices.Clone(upstream.bodies)); len(all) != 1 {
		t.Errorf("Ollama sees %q", all)
	}
}

// The scripted Ollama refuses foreign hosts and all origins, as the real one does.
func TestOllamaAcceptsTheHost(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	req, err := http.NewRequestWithContext(t.Context(), "POST", g.URL+"/v1/chat/completions", strings.NewReader(saying("")))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "gateway.example.com"
	req.Header.Set("Origin", "https://chat.example.com")
	resp, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("%s: %s", resp.Status, read(t, resp))
	}
}

func TestWhatTheClientSeesOfAnAnswer(t *testing.T) {
	for _, status := range []int{200, 404, 500} {
		for _, test := range []struct{ name, method, path, body string }{
			{"chat", "POST", "/v1/chat/completions", saying("")},
			{"stream", "POST", "/v1/chat/completions", saying(`"stream":true`)},
			{"embeddings", "POST", "/v1/embeddings", `{"model":"m","input":"hi"}`},
		} {
			t.Run(fmt.Sprint(test.name, " ", status), func(t *testing.T) {
				upstream := watch(t, func(w http.ResponseWriter, r *http.Request) {
					for _, name := range []string{"Set-Cookie", "Server", "X-Canary", "Www-Authenticate", "Location", "Access-Control-Allow-Origin", "Retry-After"} {
						w.Header().Set(name, "CANARY")
					}
					w.Header().Set("Content-Type", "text/CANARY")
					w.Header().Set("Trailer", "X-Trailer")
					w.WriteHeader(status)
					anything(w, r)
					_, _ = io.WriteString(w, "\n")
					w.Header().Set("X-Trailer", "CANARY")
				})
				g := inFront(t, ollamaadapter.Handler{}, upstream.address())
				resp := g.do(t, t.Context(), test.method, test.path, test.body)
				body := read(t, resp)
				if (resp.StatusCode == 200) != (status == 200) {
					t.Errorf("%s: %s", resp.Status, body)
				}
				if all := fmt.Sprint(resp.Header, resp.Trailer, body); strings.Contains(all, canary) {
					t.Errorf("the client sees %s", all)
				}
				if got := resp.Header.Values("Via"); len(got) > 0 {
					t.Errorf("Via: %q", got)
				}
			})
		}
	}
}
