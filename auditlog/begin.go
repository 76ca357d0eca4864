package auditlog

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// tellBegin tells the audit files of this configuration, if there are any, that a request
// has begun, so that it leaves a record even if the process dies. An error is the
// request's answer.
func (h *Handler) tellBegin(rec *record.Record) (auditfile.Begun, error) {
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
	// The operator has been told; the client learns nothing of the disk.
	return begun, caddyhttp.Error(http.StatusServiceUnavailable, fmt.Errorf("no audit record can be written: %w", err))
}
