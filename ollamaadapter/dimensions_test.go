package ollamaadapter_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/enginetest"
)

// Ollama says nothing of dimensions that its model does not have, and answers with what
// there is. The scripted ones, and engines, have vectors of two.
func TestVectorsThatAreShorterThanAskedAreRefused(t *testing.T) {
	refuses := func(t *testing.T, g *gateway) {
		t.Helper()
		for _, encoding := range []string{"float", "base64"} {
			resp := g.do(t, t.Context(), http.MethodPost, "/v1/embeddings", `{"model":"m","input":["a b","c"],"dimensions":3,"encoding_format":"`+encoding+`"}`)
			body := read(t, resp)
			if want := `{"error":{"message":"dimensions: the model has only 2","type":"invalid_request_error","param":"dimensions","code":"invalid_value"}}`; resp.StatusCode != 400 || body != want {
				t.Errorf("%s: got  %s\nwant %s", resp.Status, body, want)
			}
			if end := g.ended(t); end.Reason != record.BadRequest || end.Usage == nil || end.Usage.InputTokens == 0 {
				t.Errorf("record %+v", end.Record)
			}
		}
		resp := g.do(t, t.Context(), http.MethodPost, "/v1/embeddings", `{"model":"m","input":"a","dimensions":2}`)
		if body := read(t, resp); resp.StatusCode != 200 || !strings.Contains(body, `"embedding":[1,1]`) {
			t.Errorf("as many as there are: %s: %s", resp.Status, body)
		}
	}
	t.Run("of Ollama", func(t *testing.T) {
		g, _ := start(t, ollamaadapter.Handler{}, library...)
		refuses(t, g)
	})
	for _, kind := range kinds {
		t.Run("of "+string(kind), func(t *testing.T) {
			g, _ := engine(t, kind, ollamaadapter.Handler{}, enginetest.Says("m", "hi"))
			refuses(t, g)
		})
	}
}
