package ollamaadapter

import (
	"context"
	"net/http"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// blameless is a reason to end a request that is none to blame the upstream for. To
// reverse_proxy, which leaves out an upstream that has failed (fail_duration), and asks the
// next one, it is as if the client had left.
type blameless struct{ error }

func (b blameless) Unwrap() error      { return b.error }
func (blameless) Is(target error) bool { return target == context.Canceled }

// withPlainCause is the request with a context that ends, whatever the reason, as it does in
// HTTP/1 and 2 when the client leaves. The server of HTTP/3 (quic-go) ends it with the error
// of the connection, and a time-out with one of its own: reverse_proxy would take them for
// the upstream's.
func withPlainCause(r *http.Request) (_ *http.Request, done func()) {
	outer := r.Context()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(outer))
	unheed := context.AfterFunc(outer, func() {
		if record.WasCancelled(outer) {
			cancel(record.ErrCancelled)
		} else {
			cancel(context.Canceled)
		}
	})
	return r.WithContext(ctx), func() { unheed(); cancel(nil) }
}
