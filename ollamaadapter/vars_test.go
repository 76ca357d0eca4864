package ollamaadapter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// reverse_proxy and what it is made of keep their own in Caddy's variables of the request that
// they are given: which Ollama has failed it, and how to dial. Of one question to an Ollama
// nothing of that holds for the next, nor for what else handles the client's request.
func TestAVariableThatOneQuestionIsGivenIsNotTheNextOnes(t *testing.T) {
	h := load[caddyhttp.MiddlewareHandler](t, caddyContext(t), "http.handlers.ollama_adapter", ollamaadapter.Handler{CoalesceLoads: new(bool)})
	ollama := ollamatest.NewHandler(ollamatest.Says("m", "hi"))
	const own = "proxy"
	var asked []string
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		asked = append(asked, fmt.Sprint(r.URL.Path, caddyhttp.GetVar(r.Context(), "client"), caddyhttp.GetVar(r.Context(), own)))
		caddyhttp.SetVar(r.Context(), own, r.URL.Path)
		ollama.ServeHTTP(w, r)
		return nil
	})
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(saying(`"n":2`)))
	w := httptest.NewRecorder()
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
	caddyhttp.SetVar(r.Context(), "client", " knows its client, and of the proxy ")
	if err := h.ServeHTTP(w, r, next); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, path := range []string{"/api/version", "/api/tags", "/api/show", "/api/chat", "/api/chat"} {
		want = append(want, path+" knows its client, and of the proxy <nil>")
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked were %q", asked)
	}
	if left := caddyhttp.GetVar(r.Context(), own); left != nil {
		t.Errorf("the client's request is left with %v", left)
	}
}
