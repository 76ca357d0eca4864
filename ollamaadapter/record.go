package ollamaadapter

import (
	"net/http"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// modelCall notes in the audit record that a request asks something of a model.
func (h *Handler) modelCall(r *http.Request, operation string) *record.Record {
	rec := record.From(r.Context())
	rec.Operation, rec.Provider = operation, h.provider()
	return rec
}

// note puts what an answer came to into the audit record.
func note(r *http.Request, s translate.Summary) {
	rec := record.From(r.Context())
	rec.ResponseModel = s.Model
	rec.FinishReasons = s.FinishReasons
	rec.LoadDuration += time.Duration(s.Loading) // besides what it waited before
	rec.PromptDuration = time.Duration(s.Reading)
	rec.GenerationDuration = time.Duration(s.Writing)
	if s.Counted || s.CompletionTokens > 0 {
		rec.Usage = &record.Usage{
			InputTokens:  s.PromptTokens,
			OutputTokens: s.CompletionTokens,
			Estimated:    !s.Counted,
		}
	}
}
