package genai_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/gateway18789/caddy-ollama/auditlog/genai"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

func TestWhatIsMeasuredOfARequest(t *testing.T) {
	usage := &record.Usage{InputTokens: 7, OutputTokens: 9}
	for _, test := range []struct {
		name       string
		rec        record.Record
		errorType  string
		firstChunk time.Duration
		perChunk   time.Duration
		input      int // -1: not measured, as below
		output     int
	}{
		{
			"a stream has times and tokens",
			record.Record{Reason: record.OK, Usage: usage, TimeToFirstChunk: time.Second, Chunks: 5, ChunksFor: 2 * time.Second},
			"", time.Second, 500 * time.Millisecond, 7, 9,
		},
		{"an answer that is no stream has no times of chunks", record.Record{Reason: record.OK, Usage: usage}, "", 0, 0, 7, 9},
		{"a stream of one chunk has no time between chunks",
			record.Record{Reason: record.OK, Usage: usage, TimeToFirstChunk: time.Second, Chunks: 1}, "", time.Second, 0, 7, 9},
		{"tokens that nobody has counted are not measured", record.Record{Reason: record.OK}, "", 0, 0, -1, -1},
		{"nor are those that were estimated",
			record.Record{Reason: record.UpstreamError, Usage: &record.Usage{OutputTokens: 3, Estimated: true}}, "upstream_error", 0, 0, -1, -1},
		{"embeddings have no output", record.Record{Operation: "embeddings", Reason: record.OK, Usage: &record.Usage{InputTokens: 7}}, "", 0, 0, 7, -1},
		{"a client that left is no success", record.Record{Reason: record.ClientGone}, "client_gone", 0, 0, -1, -1},
		{"a failure is named without its cause", record.Record{Reason: record.BadToken + "expired"}, "bad_token", 0, 0, -1, -1},
		{"a reason that is none of ours is not named", record.Record{Reason: "because of 192.0.2.1"}, "other", 0, 0, -1, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := test.rec
			rec.Duration = time.Minute
			if rec.Operation == "" {
				rec.Operation = "chat"
			}
			m, is := genai.Measure(&rec)
			if !is || m.Operation != rec.Operation || m.Duration != time.Minute || m.ErrorType != test.errorType {
				t.Errorf("operation %q, %v, error %q", m.Operation, m.Duration, m.ErrorType)
			}
			for what, d := range map[string]struct {
				got  *time.Duration
				want time.Duration
			}{"time to first chunk": {m.TimeToFirstChunk, test.firstChunk}, "time per chunk": {m.TimePerOutputChunk, test.perChunk}} {
				if (d.got != nil) != (d.want > 0) || d.got != nil && *d.got != d.want {
					t.Errorf("%s is %v, want %v", what, d.got, d.want)
				}
			}
			for what, n := range map[string]struct {
				got  *int
				want int
			}{"input": {m.InputTokens, test.input}, "output": {m.OutputTokens, test.output}} {
				if (n.got != nil) != (n.want >= 0) || n.got != nil && *n.got != n.want {
					t.Errorf("%s tokens are %v, want %d", what, n.got, n.want)
				}
			}
		})
	}
}

func TestARequestThatIsNoModelCallIsNotMeasured(t *testing.T) {
	if _, is := genai.Measure(&record.Record{Reason: record.NoToken}); is {
		t.Error("it is")
	}
}

func TestAttributesOfASpan(t *testing.T) {
	for _, test := range []struct {
		name string
		rec  record.Record
		want map[string]any
	}{
		{
			"a stream", record.Record{
				Reason: record.OK, Operation: "chat", Provider: "ollama", RequestModel: "gpt-4", ResponseModel: "qwen3:32b", Stream: true,
				Usage: &record.Usage{InputTokens: 7, OutputTokens: 9}, FinishReasons: []string{"stop"},
				TimeToFirstChunk: 250 * time.Millisecond, ConversationID: "c-1", UserID: "ann",
			},
			map[string]any{
				"gen_ai.operation.name": "chat", "gen_ai.provider.name": "ollama", "gen_ai.request.model": "gpt-4",
				"gen_ai.response.model": "qwen3:32b", "gen_ai.request.stream": true, "gen_ai.usage.input_tokens": int64(7),
				"gen_ai.usage.output_tokens": int64(9), "gen_ai.response.finish_reasons": []string{"stop"},
				"gen_ai.response.time_to_first_chunk": .25, "gen_ai.conversation.id": "c-1",
			},
		},
		{"a refusal", record.Record{Reason: record.BadToken + "signature"}, map[string]any{"error.type": "bad_token", "event.reason": "bad_token:signature"}},
		{
			"an answer that breaks off", record.Record{
				Reason: record.UpstreamStalled, Operation: "chat", Usage: &record.Usage{OutputTokens: 3, Estimated: true},
			},
			map[string]any{
				"error.type": "upstream_stalled", "event.reason": "upstream_stalled", "gen_ai.operation.name": "chat", "gen_ai.request.stream": false,
			},
		},
		{"what is no model call and went well", record.Record{Reason: record.OK}, map[string]any{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := attribute.NewSet(genai.Attributes(&test.rec)...)
			if got.Len() != len(test.want) {
				t.Errorf("they are %v", got.ToSlice())
			}
			for name, want := range test.want {
				value, _ := got.Value(attribute.Key(name))
				if texts, ok := want.([]string); ok {
					if s := value.AsStringSlice(); len(s) != 1 || s[0] != texts[0] {
						t.Errorf("%s is %v, want %v", name, s, want)
					}
				} else if value.AsInterface() != want {
					t.Errorf("%s is %v, want %v", name, value.AsInterface(), want)
				}
			}
		})
	}
}
