package record_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// encode writes the record as zap's JSON encoder does.
func encode(t *testing.T, r *record.Record) (line string, fields map[string]any) {
	t.Helper()
	buf, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{}).EncodeEntry(zapcore.Entry{}, []zap.Field{zap.Inline(r)})
	if err != nil {
		t.Fatal(err)
	}
	line = buf.String()
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return line, fields
}

// names are the record's field names, sorted.
func names(fields map[string]any) []string { return slices.Sorted(maps.Keys(fields)) }

// always are the fields that every record has.
var always = []string{
	"@timestamp", "event.duration", "event.outcome", "event.reason", "event.sequence", "http.request.id",
	"http.request.method", "http.response.status_code", "source.ip", "url.path",
}

func checkNames(t *testing.T, fields map[string]any, more ...string) {
	t.Helper()
	want := slices.Sorted(slices.Values(slices.Concat(always, more)))
	if got := names(fields); !slices.Equal(got, want) {
		t.Errorf("fields are\n%q, want\n%q", got, want)
	}
}

func full() *record.Record {
	return &record.Record{
		Start:    time.Date(2026, 11, 22, 13, 14, 15, 123456789, time.FixedZone("CST", 8*3600)),
		Duration: 1500 * time.Millisecond,
		Reason:   record.OK,
		Sequence: 1<<63 + 1,

		RequestID: "id-1",
		Method:    "POST",
		Path:      "/v1/chat/completions",
		Status:    200,
		SourceIP:  "192.0.2.1",
		UserID:    "clawdbot",

		HTTPVersion: "2.0",
		UserAgent:   "openai-python/1.0",
		QueueWait:   3 * time.Millisecond,

		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		SpanID:  "00f067aa0ba902b7",

		ClientSubject:     "CN=clawdbot",
		ClientFingerprint: "AB12",

		Operation:        "chat",
		Provider:         "ollama",
		RequestModel:     "qwen3",
		ResponseModel:    "qwen3:32b",
		Stream:           true,
		Usage:            &record.Usage{InputTokens: 7, OutputTokens: 9},
		FinishReasons:    []string{"stop"},
		TimeToFirstChunk: 250 * time.Millisecond,
		ConversationID:   "conversation-1",
		ContextTruncated: true,

		LoadDuration:       4 * time.Millisecond,
		PromptDuration:     5 * time.Millisecond,
		GenerationDuration: 6 * time.Millisecond,
	}
}

func TestEveryFieldHasItsNameAndForm(t *testing.T) {
	_, fields := encode(t, full())
	delete(fields, "event.sequence") // a float64 here; see the test after this
	want := map[string]any{
		"@timestamp":                          "2026-11-22T05:14:15.123456Z",
		"event.duration":                      1.5e9,
		"event.outcome":                       "success",
		"event.reason":                        "ok",
		"http.request.id":                     "id-1",
		"http.request.method":                 "POST",
		"http.version":                        "2.0",
		"user_agent.original":                 "openai-python/1.0",
		"ollama.queue_duration":               3e6,
		"ollama.load_duration":                4e6,
		"ollama.prompt_eval_duration":         5e6,
		"ollama.eval_duration":                6e6,
		"gen_ai.provider.name":                "ollama",
		"labels.context_truncated":            true,
		"url.path":                            "/v1/chat/completions",
		"http.response.status_code":           200.0,
		"source.ip":                           "192.0.2.1",
		"user.id":                             "clawdbot",
		"tls.client.subject":                  "CN=clawdbot",
		"tls.client.hash.sha256":              "AB12",
		"trace.id":                            "4bf92f3577b34da6a3ce929d0e0e4736",
		"span.id":                             "00f067aa0ba902b7",
		"gen_ai.operation.name":               "chat",
		"gen_ai.request.model":                "qwen3",
		"gen_ai.response.model":               "qwen3:32b",
		"gen_ai.request.stream":               true,
		"gen_ai.usage.input_tokens":           7.0,
		"gen_ai.usage.output_tokens":          9.0,
		"gen_ai.response.finish_reasons":      []any{"stop"},
		"gen_ai.response.time_to_first_chunk": 0.25,
		"gen_ai.conversation.id":              "conversation-1",
	}
	for name, value := range want {
		got, _ := json.Marshal(fields[name])
		if want, _ := json.Marshal(value); string(got) != string(want) {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if !slices.Equal(names(fields), names(want)) {
		t.Errorf("fields are\n%q, want\n%q", names(fields), names(want))
	}
}

func TestSequenceIsAWholeNumberHoweverLarge(t *testing.T) {
	line, _ := encode(t, full())
	var fields struct {
		Sequence json.Number `json:"event.sequence"`
	}
	if err := json.Unmarshal([]byte(line), &fields); err != nil || fields.Sequence != "9223372036854775809" {
		t.Errorf("event.sequence is %s, %v", fields.Sequence, err)
	}
}

func TestFieldsThatSayNothingAreLeftOut(t *testing.T) {
	const operation, stream = "gen_ai.operation.name", "gen_ai.request.stream"
	for _, test := range []struct {
		name   string
		record record.Record
		more   []string
	}{
		{"a record of nothing has what all have", record.Record{}, nil},
		{"a request that was no model call has no field of one",
			record.Record{RequestModel: "x", ResponseModel: "x", Stream: true, Usage: &record.Usage{OutputTokens: 1},
				FinishReasons: []string{"stop"}, TimeToFirstChunk: 1, Provider: "x", ContextTruncated: true,
				LoadDuration: 1, PromptDuration: 1, GenerationDuration: 1}, nil},
		{"a request that is traced", record.Record{TraceID: "x", SpanID: "y"}, []string{"trace.id", "span.id"}},
		{"client software", record.Record{HTTPVersion: "1.1", UserAgent: "x"}, []string{"http.version", "user_agent.original"}},
		{"a wait, of whatever request", record.Record{QueueWait: 1}, []string{"ollama.queue_duration"}},
		{"times that cannot be", record.Record{Operation: "chat", QueueWait: -1, LoadDuration: -1, PromptDuration: -1, GenerationDuration: -1},
			[]string{operation, stream}},
		{"user", record.Record{UserID: "x"}, []string{"user.id"}},
		{"certificate", record.Record{ClientSubject: "x", ClientFingerprint: "y"},
			[]string{"tls.client.subject", "tls.client.hash.sha256"}},
		{"conversation", record.Record{ConversationID: "x"}, []string{"gen_ai.conversation.id"}},
		{"a model call that was refused says what it was and no more", record.Record{Operation: "chat"},
			[]string{operation, stream}},
		{"the upstream's own count", record.Record{Operation: "chat", Usage: &record.Usage{}},
			[]string{operation, stream, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"}},
		{"an estimated count is flagged, and has no input tokens, which nobody knows",
			record.Record{Operation: "chat", Usage: &record.Usage{OutputTokens: 3, Estimated: true}},
			[]string{operation, stream, "gen_ai.usage.output_tokens", "labels.usage_estimated"}},
		{"an empty list of finish reasons", record.Record{Operation: "chat", FinishReasons: []string{}},
			[]string{operation, stream}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, fields := encode(t, &test.record)
			checkNames(t, fields, test.more...)
		})
	}
}

func TestTheEstimateIsFlaggedTrue(t *testing.T) {
	_, fields := encode(t, &record.Record{Operation: "chat", Usage: &record.Usage{OutputTokens: 3, Estimated: true}})
	if fields["labels.usage_estimated"] != true || fields["gen_ai.usage.output_tokens"] != 3.0 {
		t.Errorf("fields are %v", fields)
	}
}

func TestHostileTextStaysInItsField(t *testing.T) {
	hostile := "\",\"user.id\":\"admin\"}\n{\x00\x1b[2J\u2028\xff"
	line, fields := encode(t, &record.Record{Path: hostile, Method: hostile, SourceIP: hostile})
	checkNames(t, fields)
	for _, r := range line[:len(line)-1] { // but for the line feed at its end
		if r < ' ' {
			t.Errorf("the line holds %U: %q", r, line)
		}
	}
}

func TestOutcome(t *testing.T) {
	for reason, want := range map[string]string{
		record.OK:                    "success",
		record.ClientGone:            "unknown",
		record.NoToken:               "failure",
		record.BadToken + "expired":  "failure",
		record.RateLimited:           "failure",
		record.Blocked:               "failure",
		record.OverCapacity:          "failure",
		record.ForbiddenAddress:      "failure",
		record.BadRequest:            "failure",
		record.TooLarge:              "failure",
		record.NotFound:              "failure",
		record.MethodNotAllowed:      "failure",
		record.ModelNotFound:         "failure",
		record.ContextLengthExceeded: "failure",
		record.UpstreamError:         "failure",
		record.InternalError:         "failure",
	} {
		if got := (&record.Record{Reason: reason, Status: 200}).Outcome(); got != want {
			t.Errorf("outcome of %s is %s, want %s", reason, got, want)
		}
	}
}

// The words are in people's dashboards.
func TestReasonsAreTheDesigns(t *testing.T) {
	for got, want := range map[string]string{
		record.OK:                    "ok",
		record.NoToken:               "no_token",
		record.BadToken:              "bad_token:",
		record.RateLimited:           "rate_limited",
		record.Blocked:               "blocked",
		record.OverCapacity:          "over_capacity",
		record.ClientGone:            "client_gone",
		record.UpstreamError:         "upstream_error",
		record.BadRequest:            "bad_request",
		record.ContextLengthExceeded: "context_length_exceeded",
		record.ForbiddenAddress:      "forbidden_address",
		record.ForbiddenOrigin:       "forbidden_origin",
		record.NotFound:              "not_found",
		record.MethodNotAllowed:      "method_not_allowed",
		record.TooLarge:              "too_large",
		record.ModelNotFound:         "model_not_found",
		record.InternalError:         "internal_error",
	} {
		if got != want {
			t.Errorf("reason is %q, want %q", got, want)
		}
	}
}

func TestTheFirstExplanationStays(t *testing.T) {
	r := new(record.Record)
	r.Explain(record.BadToken + "expired")
	r.Explain(record.ForbiddenAddress)
	if r.Reason != "bad_token:expired" {
		t.Errorf("reason is %q", r.Reason)
	}
}

func TestFrom(t *testing.T) {
	r := new(record.Record)
	if got := record.From(record.NewContext(context.Background(), r)); got != r {
		t.Error("the context does not carry the record")
	}

	// where no audit_log stands outside, there is one to write to all the same
	one, other := record.From(context.Background()), record.From(context.Background())
	if one == nil || other == nil || one == other {
		t.Fatalf("records are %p and %p, want two that nobody shares", one, other)
	}
	one.Explain(record.OK)
	if other.Reason != "" {
		t.Error("requests without audit_log share a record")
	}
}

func TestFieldsAreThoseOfTheLog(t *testing.T) {
	_, logged := encode(t, full())
	if got := (&record.Record{}).Fields(); len(got) != len(always) {
		t.Errorf("a record of nothing has %v", got)
	}
	if got := full().Fields(); !slices.Equal(names(got), names(logged)) {
		t.Errorf("fields are\n%q, in the log\n%q", names(got), names(logged))
	}
}

func TestWhatIsForTheEndIsCalledThereInTurn(t *testing.T) {
	ctx, rec := record.Ensure(context.Background())
	if again, same := record.Ensure(ctx); again != ctx || same != rec {
		t.Error("there is another record")
	}
	var called []int
	for n := range 3 {
		record.From(ctx).AtEnd(func() { called = append(called, n) })
	}
	if len(called) > 0 {
		t.Errorf("called too early: %v", called)
	}
	rec.End()
	if !slices.Equal(called, []int{0, 1, 2}) {
		t.Errorf("called %v", called)
	}
}
