package ollamaadapter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/enginetest"
)

// engine starts a scripted engine and a gateway in front of it.
func engine(t *testing.T, kind enginetest.Kind, adapter ollamaadapter.Handler, models ...enginetest.Model) (*gateway, *enginetest.Server) {
	t.Helper()
	server := enginetest.NewServer(kind, models...)
	t.Cleanup(server.Close)
	adapter.Upstream = "openai"
	return inFront(t, adapter, server.Address()), server
}

// replies is a model named m that gives this answer.
func replies(a enginetest.Answer) enginetest.Model {
	return enginetest.Model{Name: "m", Answer: func(enginetest.Request) enginetest.Answer { return a }}
}

var kinds = []enginetest.Kind{enginetest.VLLM, enginetest.TGI, enginetest.LlamaCpp}

func TestAnEnginesAnswersAreThoseOfAnyUpstream(t *testing.T) {
	for _, kind := range kinds {
		g, server := engine(t, kind, ollamaadapter.Handler{}, replies(enginetest.Answer{
			Reasoning: []string{"well"}, Content: []string{"hel", "lo"}, PromptTokens: 7,
		}))
		usage := func(t *testing.T) {
			t.Helper()
			end := g.ended(t)
			if end.Usage == nil || *end.Usage != (record.Usage{InputTokens: 7, OutputTokens: 3}) {
				t.Errorf("the record counts %+v", end.Usage)
			}
			if end.Provider != "openai_compatible" || end.ResponseModel != "m" || !slices.Equal(end.FinishReasons, []string{"stop"}) {
				t.Errorf("the record says %q %q %q", end.Provider, end.ResponseModel, end.FinishReasons)
			}
		}
		for _, test := range []struct {
			name, fields string
			want         []string
		}{
			{"a client that does not ask for the usage does not get it", `"stream":true`,
				[]string{"role assistant", "", "hel", "lo", "finish stop", "[DONE]"}},
			{"a client that asks gets it", `"stream":true,"stream_options":{"include_usage":true}`,
				[]string{"role assistant", "", "hel", "lo", "finish stop", "usage", "[DONE]"}},
		} {
			t.Run(fmt.Sprint(kind, ": ", test.name), func(t *testing.T) {
				if got := eventsOf(g.post(t, saying(test.fields))).story(t); !slices.Equal(got, test.want) {
					t.Errorf("the client reads %q, want %q", got, test.want)
				}
				usage(t)
			})
		}
		t.Run(fmt.Sprint(kind, ": an answer in one piece is gathered from a stream"), func(t *testing.T) {
			var answer struct {
				Choices []struct {
					Message struct{ Content, Reasoning string }
				}
				Usage map[string]any
			}
			body := read(t, g.post(t, saying("")))
			if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Choices) != 1 ||
				answer.Choices[0].Message.Content != "hello" || answer.Choices[0].Message.Reasoning != "well" ||
				fmt.Sprint(answer.Usage) != "map[completion_tokens:3 prompt_tokens:7 total_tokens:10]" {
				t.Errorf("got %s", body)
			}
			usage(t)
		})
		for _, req := range server.Requests() {
			if !req.Stream || !req.StreamOptions.IncludeUsage {
				t.Errorf("%s was asked for %s", kind, req.Body)
			}
		}
	}
}

func TestAnEngineThatTellsNoUsageIsEstimated(t *testing.T) {
	g, _ := engine(t, enginetest.VLLM, ollamaadapter.Handler{}, replies(enginetest.Answer{Content: []string{"a", "b"}, NoUsage: true}))
	read(t, g.post(t, saying(`"stream":true`)))
	if end := g.ended(t); end.Usage == nil || !end.Usage.Estimated || end.Usage.OutputTokens != 2 {
		t.Errorf("the record counts %+v", end.Usage)
	}
}

func TestToolCallsOfAnEngineArePutTogether(t *testing.T) {
	g, server := engine(t, enginetest.VLLM, ollamaadapter.Handler{}, replies(enginetest.Answer{
		ToolCalls: []string{
			`[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]`,
			`[{"index":0,"function":{"arguments":"{\"x\":"}}]`,
			`[{"index":0,"function":{"arguments":"1}"}}]`,
			`[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]`,
		},
		FinishReason: "tool_calls", PromptTokens: 1,
	}))
	tools := `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}},{"type":"function","function":{"name":"g"}}]`
	body := read(t, g.post(t, saying(tools)))
	for _, want := range []string{
		`{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}`,
		`{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}`,
		`"finish_reason":"tool_calls"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %s", body, want)
		}
	}
	t.Run("one that is forced is asked for in words that every engine has", func(t *testing.T) {
		read(t, g.post(t, saying(tools+`,"tool_choice":{"type":"function","function":{"name":"g"}}`)))
		sent := string(server.Requests()[1].Body)
		if !strings.Contains(sent, `"tools":[{"type":"function","function":{"name":"g"}}],"tool_choice":"required"`) {
			t.Errorf("the engine was sent %s", sent)
		}
	})
}

func TestTheOperatorsRulesHoldForAnEngineToo(t *testing.T) {
	limit := ollamaadapter.Handler{
		Models:   []string{"m"},
		Aliases:  map[string]string{"gpt-4o": "m"},
		Defaults: map[string]any{"temperature": 0.5},
		Limits:   map[string]float64{"num_predict": 100},
	}
	g, server := engine(t, enginetest.VLLM, limit, enginetest.Says("m", "hi"), enginetest.Says("secret", "hi"))
	t.Run("a client that leaves them open gets the server's options", func(t *testing.T) {
		read(t, g.post(t, saying("")))
		sent := string(server.Requests()[0].Body)
		for _, want := range []string{`"temperature":0.5`, `"max_tokens":100`} {
			if !strings.Contains(sent, want) {
				t.Errorf("%s lacks %s", sent, want)
			}
		}
	})
	t.Run("however it asks for more tokens, it does not get them", func(t *testing.T) {
		for _, more := range []string{`"max_tokens":9999`, `"max_completion_tokens":9999`, `"options":{"num_predict":9999}`} {
			read(t, g.post(t, saying(more)))
		}
		for _, req := range server.Requests()[1:] {
			if req.MaxTokens != 100 || strings.Contains(string(req.Body), "9999") {
				t.Errorf("the engine was sent %s", req.Body)
			}
		}
	})
	t.Run("an alias is called by its real name, and the client reads its own", func(t *testing.T) {
		body := read(t, g.post(t, `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`))
		if last := server.Requests()[4]; last.Model != "m" || !strings.Contains(body, `"model":"gpt-4o"`) {
			t.Errorf("asked for %q, answered %s", last.Model, body)
		}
	})
	asked := len(server.Requests())
	t.Run("what is refused never reaches the engine", func(t *testing.T) {
		for body, want := range map[string]int{
			`{"model":"secret","messages":[{"role":"user","content":"hi"}]}`: 404,
			saying(`"n":99`): 400,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://169.254.169.254/"}}]}]}`: 400,
			`{"model":"m","messages":[]}`: 400,
		} {
			if resp := g.post(t, body); resp.StatusCode != want {
				t.Errorf("%s: got %s", body, resp.Status)
			}
		}
		if n := len(server.Requests()); n != asked {
			t.Errorf("the engine got %d requests more", n-asked)
		}
	})
	t.Run("what engines know and we do not does not get through", func(t *testing.T) {
		read(t, g.post(t, `{"model":"m","messages":[{"role":"user","content":"hi","audio_url":"http://x"}],"chat_template":"CANARY","priority":-1,"guided_regex":"CANARY","stream_options":{"continuous_usage_stats":true}}`))
		sent := string(server.Requests()[asked].Body)
		for _, no := range []string{"CANARY", "priority", "audio_url", "continuous"} {
			if strings.Contains(sent, no) {
				t.Errorf("the engine was sent %s", sent)
			}
		}
	})
}

func TestNothingOfTheClientsButIdsReachesAnEngine(t *testing.T) {
	g, server := engine(t, enginetest.VLLM, ollamaadapter.Handler{}, enginetest.Says("m", "hi"))
	resp := g.post(t, saying(""), "Authorization", "Bearer "+canary, "Cookie", canary,
		"X-Request-Id", "id-1", "X-Conversation-Id", "conv-1", "Traceparent", "00-1-2-01")
	read(t, resp)
	header := server.Requests()[0].Header
	if strings.Contains(fmt.Sprint(header), canary) {
		t.Errorf("the engine got %v", header)
	}
	for name, want := range map[string]string{"X-Request-Id": "id-1", "X-Conversation-Id": "conv-1", "Traceparent": "00-1-2-01"} {
		if got := header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := resp.Header.Get("X-Conversation-Id"); got != "conv-1" {
		t.Errorf("the client reads the conversation %q", got)
	}
}

func TestAnEngineThatDoesNotSayDone(t *testing.T) {
	g, _ := engine(t, enginetest.TGI, ollamaadapter.Handler{}, replies(enginetest.Answer{Content: []string{"hi"}, Undone: true}))
	got := eventsOf(g.post(t, saying(`"stream":true`))).story(t)
	if want := []string{"role assistant", "hi", "finish stop", "[DONE]"}; !slices.Equal(got, want) {
		t.Errorf("the client reads %q", got)
	}
}

func TestAnEngineIsWatchedAsOllamaIs(t *testing.T) {
	short, long := caddy.Duration(150*time.Millisecond), caddy.Duration(time.Hour)
	t.Run("its comments are no word, so that first_byte_timeout holds", func(t *testing.T) {
		pace := make(chan struct{})
		g, server := engine(t, enginetest.TGI, ollamaadapter.Handler{FirstByteTimeout: &short, StallTimeout: &long},
			replies(enginetest.Answer{Content: []string{"a"}, Pace: pace, Interjected: ": alive\n\n"}))
		resp := g.post(t, saying(`"stream":true`))
		if _, code := failure(t, resp); resp.StatusCode != 504 || code != "upstream_timeout" {
			t.Errorf("got %s %s", resp.Status, code)
		}
		server.AwaitLeft(1)
	})
	t.Run("neither is the role", func(t *testing.T) {
		pace := make(chan struct{}, 1)
		pace <- struct{}{}
		g, server := engine(t, enginetest.VLLM, ollamaadapter.Handler{FirstByteTimeout: &short, StallTimeout: &long},
			replies(enginetest.Answer{Content: []string{"a"}, Pace: pace}))
		if resp := g.post(t, saying(`"stream":true`)); resp.StatusCode != 504 {
			t.Errorf("got %s", resp.Status)
		}
		server.AwaitLeft(1)
	})
	t.Run("once it has begun, stall_timeout holds", func(t *testing.T) {
		pace := make(chan struct{}, 1)
		pace <- struct{}{}
		g, server := engine(t, enginetest.TGI, ollamaadapter.Handler{FirstByteTimeout: &long, StallTimeout: &short},
			replies(enginetest.Answer{Content: []string{"a", "b"}, Pace: pace}))
		got := eventsOf(g.post(t, saying(`"stream":true`))).story(t)
		if len(got) == 0 || got[len(got)-1] != "error upstream_timeout" {
			t.Errorf("the client reads %q", got)
		}
		if end := g.ended(t); end.Reason != record.UpstreamStalled {
			t.Errorf("the reason is %q", end.Reason)
		}
		server.AwaitLeft(1)
	})
	t.Run("while it says nothing, the client gets heartbeats", func(t *testing.T) {
		pace := make(chan struct{})
		beat := caddy.Duration(20 * time.Millisecond)
		g, _ := engine(t, enginetest.LlamaCpp, ollamaadapter.Handler{Heartbeat: &beat},
			replies(enginetest.Answer{Content: []string{"a"}, Pace: pace}))
		events := eventsOf(g.post(t, saying(`"stream":true`)))
		if got := told(t, events.next(t)); got != "role assistant" {
			t.Errorf("the first is %q", got)
		}
		if got := told(t, events.next(t)); got != "" {
			t.Errorf("the second is %q", got)
		}
		close(pace)
		if got := events.story(t); !slices.Contains(got, "a") || got[len(got)-1] != "[DONE]" {
			t.Errorf("then comes %q", got)
		}
	})
	t.Run("a client that leaves ends its work", func(t *testing.T) {
		pace := make(chan struct{}, 2)
		pace <- struct{}{}
		g, server := engine(t, enginetest.TGI, ollamaadapter.Handler{}, replies(enginetest.Answer{Content: []string{"a", "b"}, Pace: pace}))
		resp := g.post(t, saying(`"stream":true`))
		eventsOf(resp).next(t)
		resp.Body.Close()
		server.AwaitLeft(1)
		if end := g.ended(t); end.Reason != record.ClientGone {
			t.Errorf("the reason is %q", end.Reason)
		}
	})
}

func TestSeveralChoicesOfAnEngine(t *testing.T) {
	g, server := engine(t, enginetest.TGI, ollamaadapter.Handler{}, replies(enginetest.Answer{Content: []string{"hi"}, PromptTokens: 5}))
	body := read(t, g.post(t, saying(`"n":2,"seed":10`)))
	if !strings.Contains(body, `"index":1`) {
		t.Errorf("got %s", body)
	}
	if sent := server.Requests(); len(sent) != 2 || !strings.Contains(string(sent[1].Body), `"seed":11`) || strings.Contains(string(sent[1].Body), `"n":`) {
		t.Errorf("the engine was asked %d times", len(sent))
	}
	if end := g.ended(t); end.Usage == nil || *end.Usage != (record.Usage{InputTokens: 10, OutputTokens: 2}) {
		t.Errorf("the record counts %+v", end.Usage)
	}
}

func TestTheOtherEndpointsOfAnEngine(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			g, _ := engine(t, kind, ollamaadapter.Handler{}, enginetest.Model{
				Name: "org/m", ContextLength: 4096, Answer: enginetest.Says("", "wor", "ld").Answer,
			})
			text := read(t, g.do(t, t.Context(), http.MethodPost, "/v1/completions", `{"model":"org/m","prompt":"hello ","echo":true,"max_tokens":9}`))
			if !strings.Contains(text, `"text":"hello world"`) || !strings.Contains(text, `"prompt_tokens":7`) {
				t.Errorf("got %s", text)
			}
			vectors := read(t, g.do(t, t.Context(), http.MethodPost, "/v1/embeddings", `{"model":"org/m","input":["a","abc"]}`))
			if !strings.Contains(vectors, `"index":0,"embedding":[1,1]`) || !strings.Contains(vectors, `"index":1,"embedding":[3,1]`) || !strings.Contains(vectors, `"prompt_tokens":4`) {
				t.Errorf("got %s", vectors)
			}
			models := read(t, g.do(t, t.Context(), http.MethodGet, "/v1/models", ""))
			if !strings.Contains(models, `"id":"org/m"`) || kind != enginetest.TGI && !strings.Contains(models, `"context_length":4096`) {
				t.Errorf("got %s", models)
			}
			if resp := g.do(t, t.Context(), http.MethodGet, "/v1/models/org/m", ""); resp.StatusCode != 200 {
				t.Errorf("got %s", resp.Status)
			}
		})
	}
}

func TestAnEngineMaySayATokenInTwoPieces(t *testing.T) {
	// two tokens, of each a piece of reasoning and one of content
	g, _ := engine(t, enginetest.LlamaCpp, ollamaadapter.Handler{}, replies(enginetest.Answer{
		Reasoning: []string{"r", "s"}, Content: []string{"a", "b"},
	}))
	if body := read(t, g.post(t, saying(`"max_tokens":2`))); !strings.Contains(body, `"content":"ab"`) || !strings.Contains(body, `"finish_reason":"stop"`) {
		t.Errorf("got %s", body)
	}
}

func TestEachOfAnEnginesChoicesHasItsOwnCalls(t *testing.T) {
	g, _ := engine(t, enginetest.VLLM, ollamaadapter.Handler{}, replies(enginetest.Answer{
		ToolCalls: []string{`[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]`, `[{"index":0,"function":{"arguments":"}"}}]`},
		NoUsage:   true,
	}))
	body := read(t, g.post(t, saying(`"n":2,"tools":[{"type":"function","function":{"name":"f"}}]`)))
	if n := strings.Count(body, `"arguments":"{}"`); n != 2 {
		t.Errorf("there are %d calls in %s", n, body)
	}
	// a call that comes in two parts is counted as two tokens, not once more when it is whole
	if end := g.ended(t); end.Usage == nil || end.Usage.OutputTokens != 4 || !end.Usage.Estimated {
		t.Errorf("the record counts %+v", end.Usage)
	}
}
