package jwtauth

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/jwtauth/replay"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// refusal is the answer to a token that fails. Clients are told the same of every fault;
// a handler further out can tell which it is with errors.Is.
type refusal struct {
	told  *openai.Error
	fault error
}

func (r refusal) Error() string   { return r.told.Error() }
func (r refusal) Unwrap() []error { return []error{r.told, r.fault} }

// undecided is the answer to a token that has no fault, while nobody can tell whether it
// was used before.
func undecided(w http.ResponseWriter, cause error) error {
	retryAfter := "1" // so soon Redis may be back
	if errors.Is(cause, replay.ErrFull) {
		retryAfter = "30" // tokens leave it as they expire, within minutes
	}
	w.Header().Set("Retry-After", retryAfter)
	return caddyhttp.Error(http.StatusServiceUnavailable, errors.Join(&openai.Error{
		Message: "the gateway cannot tell at the moment whether this request may pass; see Retry-After",
		Type:    openai.TypeServer,
		Code:    "store_unavailable",
	}, cause)) // the cause is for the operator's log
}
