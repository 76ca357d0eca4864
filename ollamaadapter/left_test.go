package ollamaadapter

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// A client who does not read may be gone only when his request has been cancelled long ago.
func TestWhoLeavesACancelledRequestIsNotItsReason(t *testing.T) {
	for cause, want := range map[error]string{record.ErrCancelled: record.Cancelled, nil: record.ClientGone} {
		rec := new(record.Record)
		ctx, cancel := context.WithCancelCause(record.NewContext(t.Context(), rec))
		cancel(cause)
		if err := leave(httptest.NewRequest("GET", "/", nil).WithContext(ctx)); err != nil || rec.Reason != want {
			t.Errorf("cause %v: reason %q, %v", cause, rec.Reason, err)
		}
	}
}
