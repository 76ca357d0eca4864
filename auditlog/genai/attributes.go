package genai

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// Attributes are those of the span of a request. Why a request did not succeed is in
// error.type, and in full in event.reason, which is the record's name for it.
func Attributes(rec *record.Record) []attribute.KeyValue {
	var all []attribute.KeyValue
	text := func(name, value string) {
		if value != "" {
			all = append(all, attribute.String(name, value))
		}
	}
	if failed := ErrorType(rec); failed != "" {
		text("error.type", failed)
		text("event.reason", rec.Reason)
	}
	text("gen_ai.conversation.id", rec.ConversationID)
	if rec.Operation == "" {
		return all
	}
	text("gen_ai.operation.name", rec.Operation)
	text("gen_ai.provider.name", rec.Provider)
	text("gen_ai.request.model", rec.RequestModel)
	text("gen_ai.response.model", rec.ResponseModel)
	all = append(all, attribute.Bool("gen_ai.request.stream", rec.Stream))
	if rec.TimeToFirstChunk > 0 {
		all = append(all, attribute.Float64("gen_ai.response.time_to_first_chunk", rec.TimeToFirstChunk.Seconds()))
	}
	if len(rec.FinishReasons) > 0 {
		all = append(all, attribute.StringSlice("gen_ai.response.finish_reasons", rec.FinishReasons))
	}
	if u := rec.Usage; u != nil && !u.Estimated {
		all = append(all, attribute.Int("gen_ai.usage.input_tokens", u.InputTokens), attribute.Int("gen_ai.usage.output_tokens", u.OutputTokens))
	}
	return all
}
