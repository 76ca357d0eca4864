package auditlog

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/gateway18789/caddy-ollama/auditlog/genai"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// noteSpan takes the ids of the request's span, if it has one, into the record: Caddy's
// `tracing`, outside, makes one.
func noteSpan(ctx context.Context, rec *record.Record) {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		rec.TraceID, rec.SpanID = span.TraceID().String(), span.SpanID().String()
	}
}

// describeSpan tells the request's span, if there is one that somebody will see, what the
// record tells of a model call or a refusal.
func describeSpan(ctx context.Context, rec *record.Record) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(genai.Attributes(rec)...)
	}
}
