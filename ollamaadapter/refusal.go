package ollamaadapter

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// modelNotFound is the one answer for a model that is not there or not allowed.
func modelNotFound(r *http.Request) error {
	record.From(r.Context()).Explain(record.ModelNotFound)
	return caddyhttp.Error(http.StatusNotFound, translate.ModelNotFound())
}

// refused is the answer to a request that is wrong in itself.
func refused(err error) error { return caddyhttp.Error(http.StatusBadRequest, err) }
