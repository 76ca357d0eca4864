package auditlog

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// countAnew makes this test's requests the first that are counted.
func countAnew(t *testing.T) {
	t.Helper()
	before := counted
	counted = newMetrics()
	t.Cleanup(func() { counted = before })
}

// loadIn is a handler of this configuration.
func loadIn(t *testing.T, ctx caddy.Context) *audit {
	t.Helper()
	return newAuditIn(t, ctx, Handler{})
}

// fill fills the record in as the handlers inside do.
func fill(rec record.Record) next {
	return func(w http.ResponseWriter, r *http.Request) error {
		into := record.From(r.Context())
		begun := *into
		*into = rec
		into.Start, into.RequestID, into.TraceID, into.SpanID = begun.Start, begun.RequestID, begun.TraceID, begun.SpanID
		w.WriteHeader(200)
		return nil
	}
}

// metricsSay compares what a configuration's registry tells of some metrics.
func metricsSay(t *testing.T, ctx caddy.Context, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(ctx.GetMetricsRegistry(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

// requestsTold is what a configuration's registry tells of requests: how many, by outcome
// and reason.
func requestsTold(t *testing.T, ctx caddy.Context) map[string]float64 {
	t.Helper()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]float64)
	for _, f := range families {
		if f.GetName() != "caddy_audit_log_requests_total" {
			continue
		}
		for _, m := range f.Metric {
			labels := make(map[string]string)
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			told[labels["outcome"]+" "+labels["reason"]] = m.GetCounter().GetValue()
		}
	}
	return told
}

// Prometheus sees no increase to the first value of a series: the first forged token would
// raise no alarm.
func TestEverySeriesOfRequestsIsThereBeforeTheFirst(t *testing.T) {
	countAnew(t)
	ctx := newContext(t)
	a := loadIn(t, ctx)
	told := requestsTold(t, ctx)
	for series, n := range told {
		if n != 0 {
			t.Errorf("%s is %v before the first request", series, n)
		}
	}
	for _, series := range []string{
		"success ok", "unknown client_gone", "failure audit_failure", "failure other", "failure bad_token:signature", "failure bad_token:expired",
	} {
		if _, there := told[series]; !there {
			t.Errorf("%s is not there", series)
		}
	}
	if want := len(record.Reasons()) + len(token.Faults()) + 1; len(told) != want { // other
		t.Errorf("there are %d series, want %d: %v", len(told), want, told)
	}

	// whatever our own handlers say has one, and the only one more is for a cause that is
	// none of jwt_auth's
	for _, reason := range append(everyReason(), "invented", "crash", record.BadToken+"invented", record.BadToken+"unknown") {
		a.serve(t, newRequest("GET", "/"), fill(record.Record{Reason: reason}))
	}
	after := requestsTold(t, ctx)
	for series := range told {
		if after[series] == 0 {
			t.Errorf("%s counts nothing", series)
		}
	}
	if want := len(told) + 1; len(after) != want || after["failure bad_token"] != 2 || after["failure other"] != 3 {
		t.Errorf("there are %d series after all that can happen, want %d: %v", len(after), want, after)
	}
}

func TestRequestsAreCountedByHowTheyEndedThroughReloads(t *testing.T) {
	countAnew(t)
	before, after := newContext(t), newContext(t)
	old, young := loadIn(t, before), loadIn(t, after)
	old.serve(t, newRequest("GET", "/"), write(200))
	young.serve(t, newRequest("GET", "/"), write(200))
	young.serve(t, newRequest("GET", "/"), write(404))
	young.serve(t, newRequest("GET", "/"), explain(record.BadToken+"expired", write(403)))
	young.serve(t, newRequest("GET", "/"), explain(record.BadToken+"invented", write(403)))
	young.serve(t, newRequest("GET", "/"), explain("by another handler for 192.0.2.1", write(403)))
	young.serve(t, newRequest("GET", "/"), func(http.ResponseWriter, *http.Request) error {
		metricsSay(t, after, `
# HELP caddy_audit_log_in_flight Requests in flight.
# TYPE caddy_audit_log_in_flight gauge
caddy_audit_log_in_flight 1
`, "caddy_audit_log_in_flight")
		panic(http.ErrAbortHandler)
	})
	for _, ctx := range []caddy.Context{before, after} {
		metricsSay(t, ctx, `
# HELP caddy_audit_log_in_flight Requests in flight.
# TYPE caddy_audit_log_in_flight gauge
caddy_audit_log_in_flight 0
`, "caddy_audit_log_in_flight")
		told := requestsTold(t, ctx)
		maps.DeleteFunc(told, func(_ string, n float64) bool { return n == 0 })
		if want := map[string]float64{
			"success ok": 2, "failure not_found": 1, "failure bad_token:expired": 1, "failure bad_token": 1, "failure other": 1,
			"failure internal_error": 1,
		}; !maps.Equal(told, want) {
			t.Errorf("counted are %v, want %v", told, want)
		}
	}
}

func TestModelCallsAreMeasured(t *testing.T) {
	countAnew(t)
	ctx := newContext(t)
	a := loadIn(t, ctx)
	a.serve(t, newRequest("POST", "/"), fill(record.Record{
		Operation: "chat", RequestModel: "gpt-4", Model: "qwen3:32b", ResponseModel: "qwen3:32b",
		Usage: &record.Usage{InputTokens: 5, OutputTokens: 20}, TimeToFirstChunk: time.Second, Chunks: 3, ChunksFor: 200 * time.Millisecond,
	}))
	a.serve(t, newRequest("POST", "/"), fill(record.Record{Operation: "chat", Reason: record.UpstreamError, RequestModel: "gpt-4", Model: "qwen3:32b"}))
	a.serve(t, newRequest("POST", "/"), fill(record.Record{Operation: "embeddings", Reason: record.ModelNotFound, RequestModel: "invented"}))
	metricsSay(t, ctx, `
# HELP gen_ai_client_token_usage Tokens of model calls, as far as the upstream has counted them.
# TYPE gen_ai_client_token_usage histogram
`+histogram("gen_ai_client_token_usage", `gen_ai_operation_name="chat",gen_ai_request_model="qwen3:32b",gen_ai_token_type="input"`, 5,
		1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)+
		histogram("gen_ai_client_token_usage", `gen_ai_operation_name="chat",gen_ai_request_model="qwen3:32b",gen_ai_token_type="output"`, 20,
			1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)+`
# HELP gen_ai_client_operation_time_to_first_chunk_seconds How long clients of streams waited for the first word.
# TYPE gen_ai_client_operation_time_to_first_chunk_seconds histogram
`+histogram("gen_ai_client_operation_time_to_first_chunk_seconds", `gen_ai_operation_name="chat",gen_ai_request_model="qwen3:32b"`, 1,
		.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)+`
# HELP gen_ai_client_operation_time_per_output_chunk_seconds How long the chunks of a stream after its first took, on average of each stream.
# TYPE gen_ai_client_operation_time_per_output_chunk_seconds histogram
`+histogram("gen_ai_client_operation_time_per_output_chunk_seconds", `gen_ai_operation_name="chat",gen_ai_request_model="qwen3:32b"`, .1,
		.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
		"gen_ai_client_token_usage", "gen_ai_client_operation_time_to_first_chunk_seconds", "gen_ai_client_operation_time_per_output_chunk_seconds")

	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var series []string
	for _, f := range families {
		if f.GetName() == "gen_ai_client_operation_duration_seconds" {
			for _, m := range f.Metric {
				text := ""
				for _, l := range m.Label {
					text += l.GetValue() + " "
				}
				series = append(series, fmt.Sprint(text, m.GetHistogram().GetSampleCount()))
			}
		}
	}
	want := []string{" chat qwen3:32b 1", "model_not_found embeddings other 1", "upstream_error chat qwen3:32b 1"}
	if fmt.Sprint(series) != fmt.Sprint(want) {
		t.Errorf("durations are of %q, want %q", series, want)
	}
}

// histogram is one with one value.
func histogram(name, labels string, value float64, buckets ...float64) string {
	var text strings.Builder
	for _, most := range buckets {
		n := 0
		if value <= most {
			n = 1
		}
		fmt.Fprintf(&text, "%s_bucket{%s,le=\"%g\"} %d\n", name, labels, most, n)
	}
	fmt.Fprintf(&text, "%[1]s_bucket{%[2]s,le=\"+Inf\"} 1\n%[1]s_sum{%[2]s} %[3]g\n%[1]s_count{%[2]s} 1\n", name, labels, value)
	return text.String()
}

// Names that clients invent must not become series, of which each costs memory here and
// in every Prometheus that asks.
func TestTenThousandInventedModelsAreFewSeries(t *testing.T) {
	countAnew(t)
	a := loadIn(t, newContext(t))
	for n := range 10_000 {
		name := fmt.Sprintf("invented-%d", n)
		rec := record.Record{Operation: "chat", RequestModel: name, Model: name}
		switch n % 4 {
		case 0:
			rec.Reason = record.ModelNotFound
		case 1:
			rec.Reason = record.UpstreamError
		default: // as if an upstream answered to every name
			rec.ResponseModel, rec.TimeToFirstChunk, rec.Chunks = name, 1, 2
			rec.Usage = &record.Usage{InputTokens: 1, OutputTokens: 1}
		}
		if err := a.handler.ServeHTTP(new(discard), newRequest("POST", "/"), fill(rec)); err != nil {
			t.Fatal(err)
		}
		a.logs.TakeAll()
	}
	for _, c := range []struct {
		name string
		most int
		got  int
	}{
		{"operation duration", 103, testutil.CollectAndCount(counted.duration)}, // 100, and other: ok, not found, upstream error
		{"time to first chunk", 101, testutil.CollectAndCount(counted.firstChunk)},
		{"time per chunk", 101, testutil.CollectAndCount(counted.perChunk)},
		{"tokens", 202, testutil.CollectAndCount(counted.tokens)},
		{"requests", len(everyReason()), testutil.CollectAndCount(counted.requests)},
	} {
		if c.got > c.most || c.got < 3 {
			t.Errorf("%s has %d series, want at most %d", c.name, c.got, c.most)
		}
	}
}

// As `promtool check metrics` does; but that a histogram of tokens has no unit in its name
// is OpenTelemetry's choice.
func TestMetricsKeepToPrometheusRules(t *testing.T) {
	countAnew(t)
	ctx := newContext(t)
	loadIn(t, ctx).serve(t, newRequest("GET", "/"), fill(record.Record{
		Operation: "chat", ResponseModel: "m", Usage: new(record.Usage), TimeToFirstChunk: 1, Chunks: 2,
	}))
	problems, err := testutil.GatherAndLint(ctx.GetMetricsRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "gen_ai_") || strings.HasPrefix(p.Metric, "caddy_audit_log_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
