package ollamaadapter_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// An Ollama whose model sees nothing leaves images out without a word, and the model
// answers as if there were none.
func TestImagesForAModelThatSeesNoneAreRefused(t *testing.T) {
	const (
		image = `{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}`
		sound = `{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}`
	)
	for _, test := range []struct {
		name, part   string
		version      string // empty: the scripted Ollama's own
		capabilities []string
		remote       string
		refused      bool
	}{
		{name: "a model that reads only", part: image, capabilities: []string{"completion", "tools"}, refused: true},
		{name: "a model that sees", part: image, capabilities: []string{"completion", "vision"}},
		{name: "a text for a model that reads only", part: `{"type":"text","text":"hi"}`, capabilities: []string{"completion"}},
		{name: "sound, which Ollama has among the images", part: sound, capabilities: []string{"completion"}},
		{name: "a model of which nothing is told", part: image, capabilities: []string{}},
		{name: "a model whose file Ollama could not read", part: image, capabilities: []string{"tools"}},
		{name: "a model that runs elsewhere, of which Ollama has no file", part: image, capabilities: []string{"completion"}, remote: "https://ollama.com:443"},
		{name: "an Ollama that does not tell of projectors", part: image, version: "0.6.7", capabilities: []string{"completion"}},
		{name: "the first that surely does", part: image, version: "0.7.0", capabilities: []string{"completion"}, refused: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			model := ollamatest.Says("m", "hi")
			model.Capabilities, model.RemoteHost = test.capabilities, test.remote
			ollama := ollamatest.NewServer(model)
			t.Cleanup(ollama.Close)
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/version" && test.version != "" {
					_, _ = w.Write([]byte(`{"version":"` + test.version + `"}`))
					return
				}
				ollama.ServeHTTP(w, r)
			}))
			t.Cleanup(upstream.Close)
			g := inFront(t, ollamaadapter.Handler{Models: []string{"m"}}, upstream.Listener.Addr().String())
			body := `{"model":"m","messages":[{"role":"user","content":[` + test.part + `]},{"role":"user","content":"what is it?"}]}`
			for _, stream := range []string{`{`, `{"stream":true,`} {
				resp := g.post(t, stream+body[1:])
				got := read(t, resp)
				if !test.refused {
					if resp.StatusCode != 200 {
						t.Errorf("%s: %s", resp.Status, got)
					}
					continue
				}
				want := `{"error":{"message":"messages: the model does not support images","type":"invalid_request_error","param":"messages","code":"unsupported_parameter"}}`
				if resp.StatusCode != 400 || got != want {
					t.Errorf("%s: got  %s\nwant %s", resp.Status, got, want)
				}
			}
			if asked := len(ollama.Requests()); test.refused && asked > 0 {
				t.Errorf("the model was asked %d times", asked)
			}
		})
	}
}
