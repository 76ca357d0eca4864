package ollamaadapter

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// observed is a failure with what was seen of it, which is for the operator's log:
// clients are told the *openai.Error within, and nothing else.
func observed(failure error, seen ...string) error {
	for _, one := range seen {
		if one != "" {
			failure = fmt.Errorf("%w: %s", failure, one)
		}
	}
	return failure
}

// seen is what there is to see of an answer that is none.
func (a *upstreamAnswer) seen() []string {
	if a.status == 0 || a.status == http.StatusOK {
		return []string{a.address()}
	}
	return []string{a.address(), "status " + strconv.Itoa(a.status), translate.FailureWords(a.body.Bytes())}
}

// address is the upstream that was asked; may be empty.
func (a *upstreamAnswer) address() string {
	if a.asking == nil {
		return ""
	}
	return addressOf(a.asking)
}

// addressOf is the upstream that was asked last for the sake of a request, if that was one
// of reverse_proxy's.
func addressOf(asking context.Context) string {
	repl, ok := asking.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	address, _ := repl.GetString("http.reverse_proxy.upstream.hostport")
	return address
}
