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

// withPlainCause is the request with a context that tells of a client that has left as
// HTTP/1 and 2 do. The server of HTTP/3 (quic-go) ends it with the error of the connection,
// which reverse_proxy would take for one of the upstream's.
func withPlainCause(r *http.Request) (_ *http.Request, done func()) {
	client := r.Context()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(client))
	unheed := context.AfterFunc(client, func() {
		if record.WasCancelled(client) {
			cancel(record.ErrCancelled)
		} else {
			cancel(context.Canceled)
		}
	})
	return r.WithContext(ctx), func() { unheed(); cancel(nil) }
}
