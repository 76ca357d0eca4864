package auditlog

import (
	"fmt"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

func TestTheSpanTellsWhatTheRecordDoes(t *testing.T) {
	ended := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended)).Tracer("test")
	for _, test := range []struct {
		name  string
		inner next
		want  map[attribute.Key]string
	}{
		{"a model call", fill(record.Record{Operation: "chat", RequestModel: "gpt-4", ResponseModel: "m", Usage: &record.Usage{InputTokens: 7}}),
			map[attribute.Key]string{"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4", "gen_ai.usage.input_tokens": "7"}},
		{"a refusal", explain(record.BadToken+"expired", fail(403)),
			map[attribute.Key]string{"error.type": "bad_token", "event.reason": "bad_token:expired"}},
		{"an answer that breaks off", explain(record.UpstreamError, func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }),
			map[attribute.Key]string{"error.type": "upstream_error"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ended.Reset()
			r := newRequest("POST", "/")
			ctx, span := tracer.Start(r.Context(), "handler")
			fields := newAudit(t).serve(t, r.WithContext(ctx), test.inner).fields
			span.End()
			told := ended.Ended()[0]
			got := attribute.NewSet(told.Attributes()...)
			for name, want := range test.want {
				if value, _ := got.Value(name); fmt.Sprint(value.AsInterface()) != want {
					t.Errorf("%s is %v, want %s", name, value.AsInterface(), want)
				}
			}
			if fields["trace.id"] != told.SpanContext().TraceID().String() || fields["span.id"] != told.SpanContext().SpanID().String() {
				t.Errorf("the record says trace %v, span %v", fields["trace.id"], fields["span.id"])
			}
		})
	}
}

func TestWithoutASpanTheRecordHasNoTrace(t *testing.T) {
	fields := newAudit(t).serve(t, newRequest("GET", "/"), write(200)).fields
	for _, name := range []string{"trace.id", "span.id"} {
		if _, has := fields[name]; has {
			t.Errorf("it has %s", name)
		}
	}
}
