package ollamaadapter_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestRecordOfAnAnswer(t *testing.T) {
	call := []ollama.ToolCall{{Function: ollama.FunctionCall{Name: "f", Arguments: []byte(`{}`)}}}
	for _, test := range []struct {
		name   string
		answer ollamatest.Answer
		finish string
		usage  record.Usage
	}{
		{"text", ollamatest.Answer{Content: []string{"a", "b"}, PromptTokens: 7}, "stop", record.Usage{InputTokens: 7, OutputTokens: 2}},
		{"a tool call", ollamatest.Answer{ToolCalls: call, PromptTokens: 7}, "tool_calls", record.Usage{InputTokens: 7, OutputTokens: 1}},
		{"an answer cut off by the limit", ollamatest.Answer{Content: []string{"a"}, DoneReason: "length"}, "length", record.Usage{OutputTokens: 1}},
		{"an answer of nothing is counted too", ollamatest.Answer{PromptTokens: 7}, "stop", record.Usage{InputTokens: 7}},
	} {
		for kind, body := range both {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				g, _ := start(t, ollamaadapter.Handler{}, answers(test.answer))
				resp := g.post(t, body)
				read(t, resp)
				end := g.ended(t)
				if end.Operation != "chat" || end.RequestModel != "m" || end.ResponseModel != "m" || end.Stream != (kind == "streamed") {
					t.Errorf("operation %q, models %q and %q, stream %v", end.Operation, end.RequestModel, end.ResponseModel, end.Stream)
				}
				if end.Usage == nil || *end.Usage != test.usage {
					t.Errorf("usage %+v, want %+v", end.Usage, test.usage)
				}
				if !slices.Equal(end.FinishReasons, []string{test.finish}) {
					t.Errorf("finish reasons %q, want %q", end.FinishReasons, test.finish)
				}
				if streamed := kind == "streamed"; (end.TimeToFirstChunk > 0) != streamed || end.TimeToFirstChunk > patience {
					t.Errorf("time to first chunk %v", end.TimeToFirstChunk)
				}
				if id := resp.Header.Get("X-Conversation-Id"); id == "" || end.ConversationID != id {
					t.Errorf("conversation %q, header %q", end.ConversationID, id)
				}
				if end.Reason != "" || end.err != nil || end.status != 200 {
					t.Errorf("reason %q, error %v, status %d", end.Reason, end.err, end.status)
				}
			})
		}
	}
}

// What metrics are made of. The pieces come apart, or they might be one chunk.
func TestRecordCountsTheChunksOfAStream(t *testing.T) {
	const interval = 50 * time.Millisecond
	answer := ollamatest.Answer{Content: []string{"a", "b", "c"}, Interval: interval}
	g, _ := start(t, ollamaadapter.Handler{Aliases: map[string]string{"gpt-4": "m"}}, answers(answer))
	for kind, body := range both {
		read(t, g.post(t, strings.Replace(body, `"m"`, `"gpt-4"`, 1)))
		end := g.ended(t)
		if end.Model != "m" || end.RequestModel != "gpt-4" {
			t.Errorf("%s: the model is %q, asked for as %q", kind, end.Model, end.RequestModel)
		}
		if kind != "streamed" {
			if end.Chunks != 0 {
				t.Errorf("%s: %d chunks", kind, end.Chunks)
			}
		} else if end.Chunks < 3 || end.Chunks > 4 || end.ChunksFor < 2*interval*9/10 || end.ChunksFor > patience {
			t.Errorf("%d chunks in %v, want three in twice %v, and perhaps one for the end", end.Chunks, end.ChunksFor, interval)
		}
	}
}

func TestRecordNamesTheModelAsOllamaDoes(t *testing.T) {
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) {
			g, _ := start(t, ollamaadapter.Handler{}, answers(ollamatest.Answer{Raw: []string{
				`{"model":"m:7b","message":{"content":"hi"},"done":true}`,
			}}))
			read(t, g.post(t, body))
			if end := g.ended(t); end.RequestModel != "m" || end.ResponseModel != "m:7b" {
				t.Errorf("models %q and %q", end.RequestModel, end.ResponseModel)
			}
		})
	}
}

func TestRecordOfARefusedRequest(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	for _, test := range []struct {
		name, body   string
		conversation bool // whether it is known by then
	}{
		{"a body that is no JSON", "CANARY", false},
		{"a request that Ollama cannot serve", saying(`"functions":[{}],"stream":true`), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp := g.post(t, test.body)
			end := g.ended(t)
			if end.Operation != "chat" || end.Usage != nil || len(end.FinishReasons) > 0 || end.ResponseModel != "" {
				t.Errorf("%+v", end.Record)
			}
			if (end.ConversationID != "") != test.conversation || resp.Header.Get("X-Conversation-Id") != end.ConversationID {
				t.Errorf("conversation %q, header %q", end.ConversationID, resp.Header.Get("X-Conversation-Id"))
			}
		})
	}
}

func TestRecordOfAListOfModelsIsNoModelCall(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	g.do(t, t.Context(), "GET", "/v1/models", "")
	if end := g.ended(t); end.Operation != "" || end.Usage != nil || end.ConversationID != "" {
		t.Errorf("%+v", end.Record)
	}
}
