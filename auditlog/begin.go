package auditlog

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// cannotServe is what a client is told: the model server is well, and the disk is none of
// its business. The operator's log has the cause.
var cannotServe = &openai.Error{
	Message: "the gateway cannot serve requests at the moment; see Retry-After",
	Type:    openai.TypeServer,
	Code:    "gateway_unavailable",
}

// tellBegin tells the audit files of this configuration, if there are any, that a request
// has begun, so that it leaves a record even if the process dies. An error is the
// request's answer.
func (h *Handler) tellBegin(header http.Header, rec *record.Record) (auditfile.Begun, error) {
	begun, err := h.files.Begin(auditfile.Request{
		Start:         rec.Start,
		RequestID:     rec.RequestID,
		Method:        rec.Method,
		Path:          rec.Path,
		SourceIP:      rec.SourceIP,
		ClientSubject: rec.ClientSubject,
	})
	if err == nil {
		return begun, nil
	}
	rec.Explain(record.AuditFailure)
	header.Set("Retry-After", "5") // the log is tried each second; who must mend it takes longer
	return begun, caddyhttp.Error(http.StatusServiceUnavailable, errors.Join(cannotServe, fmt.Errorf("no audit record can be written: %w", err)))
}
