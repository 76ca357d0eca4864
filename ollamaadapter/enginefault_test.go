package ollamaadapter_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/enginetest"
)

func TestErrorsOfEngines(t *testing.T) {
	tooLong := map[enginetest.Kind]string{
		enginetest.VLLM:     "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens. " + canary,
		enginetest.TGI:      "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9000 " + canary,
		enginetest.LlamaCpp: "the request exceeds the available context size. try increasing the context size " + canary,
	}
	badRequest := map[enginetest.Kind]int{enginetest.VLLM: 400, enginetest.TGI: 422, enginetest.LlamaCpp: 400}
	type trouble struct {
		name   string
		answer enginetest.Answer
		status int
		code   string
		reason string // of the record; empty if that is for audit_log to say by the status
	}
	for _, kind := range kinds {
		for _, test := range []trouble{
			{"a conversation that is too long", enginetest.Answer{Status: badRequest[kind], Error: tooLong[kind]}, 400, "context_length_exceeded", record.ContextLengthExceeded},
			{"another request that is refused", enginetest.Answer{Status: badRequest[kind], Error: canary}, 400, "invalid_value", ""},
			{"an engine that is busy", enginetest.Answer{Status: 503, Error: "Loading model"}, 503, "server_overloaded", record.UpstreamError},
			{"an engine that has too much to do", enginetest.Answer{Status: 429, Error: "Model is overloaded"}, 503, "server_overloaded", record.UpstreamError},
			{"an engine that wants another key", enginetest.Answer{Status: 401, Error: canary}, 502, "upstream_error", record.UpstreamError},
			{"an engine that fails", enginetest.Answer{Status: 500, Error: canary}, 502, "upstream_error", record.UpstreamError},
			{"a failure of TGI's", enginetest.Answer{Status: 424, Error: canary}, 502, "upstream_error", record.UpstreamError},
			{"a stream cut off before its first word", enginetest.Answer{Unfinished: true, NoUsage: true, Cut: true}, 502, "upstream_error", ""},
			{"a stream that ends without a reason", enginetest.Answer{Unfinished: true}, 502, "upstream_error", record.UpstreamError},
		} {
			t.Run(fmt.Sprint(kind, ": ", test.name), func(t *testing.T) {
				for _, stream := range []string{"", `"stream":true`} {
					g, _ := engine(t, kind, ollamaadapter.Handler{}, replies(test.answer))
					resp := g.post(t, saying(stream))
					_, code := failure(t, resp)
					if resp.StatusCode != test.status || code != test.code {
						t.Errorf("got %s %s", resp.Status, code)
					}
					if (resp.Header.Get("Retry-After") != "") != (test.status == 503) {
						t.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
					}
					if end := g.ended(t); test.reason != "" && end.Reason != test.reason {
						t.Errorf("the reason is %q", end.Reason)
					}
				}
			})
		}
		t.Run(fmt.Sprint(kind, ": a model that is not there"), func(t *testing.T) {
			g, _ := engine(t, kind, ollamaadapter.Handler{})
			resp := g.post(t, saying(""))
			if _, code := failure(t, resp); resp.StatusCode != 404 || code != "model_not_found" {
				t.Errorf("got %s %s", resp.Status, code)
			}
		})
		t.Run(fmt.Sprint(kind, ": an error that opens the stream is a status"), func(t *testing.T) {
			// TGI looks at a request only when its stream has begun
			g, _ := engine(t, kind, ollamaadapter.Handler{}, replies(enginetest.Answer{
				Status: badRequest[kind], Error: tooLong[kind], Content: []string{"x"}, ErrorAfter: 1,
			}))
			if kind == enginetest.TGI {
				g, _ = engine(t, kind, ollamaadapter.Handler{}, replies(enginetest.Answer{
					Status: badRequest[kind], Error: tooLong[kind], Content: []string{"", "x"}, ErrorAfter: 1,
				}))
			}
			resp := g.post(t, saying(`"stream":true`))
			if _, code := failure(t, resp); resp.StatusCode != 400 || code != "context_length_exceeded" {
				t.Errorf("got %s %s", resp.Status, code)
			}
			if end := g.ended(t); end.Reason != record.ContextLengthExceeded {
				t.Errorf("the reason is %q", end.Reason)
			}
		})
		t.Run(fmt.Sprint(kind, ": any refusal that opens the stream is the request's fault"), func(t *testing.T) {
			g, _ := engine(t, kind, ollamaadapter.Handler{}, replies(enginetest.Answer{
				Status: badRequest[kind], Error: canary, Content: []string{"", "x"}, ErrorAfter: 1,
			}))
			resp := g.post(t, saying(`"stream":true`))
			if _, code := failure(t, resp); resp.StatusCode != 400 || code != "invalid_value" {
				t.Errorf("got %s %s", resp.Status, code)
			}
			if end := g.ended(t); end.Reason != record.BadRequest {
				t.Errorf("the reason is %q", end.Reason)
			}
		})
		t.Run(fmt.Sprint(kind, ": an error in the midst of the stream ends it, without [DONE]"), func(t *testing.T) {
			g, _ := engine(t, kind, ollamaadapter.Handler{}, replies(enginetest.Answer{
				Status: 500, Error: canary, Content: []string{"a", "b", "c"}, ErrorAfter: 3,
			}))
			got := eventsOf(g.post(t, saying(`"stream":true`))).story(t)
			if len(got) < 2 || got[len(got)-1] != "error upstream_error" || slices.Contains(got, "[DONE]") {
				t.Errorf("the client reads %q", got)
			}
			if end := g.ended(t); end.Reason != record.UpstreamError || end.Usage == nil || !end.Usage.Estimated {
				t.Errorf("the record says %q, %+v", end.Reason, end.Usage)
			}
		})
	}
}
