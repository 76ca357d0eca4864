package translate_test

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// FuzzContentParts: whatever the parts of a message are, they become one message
// whose images Ollama can decode, or are refused by the place of one of them.
func FuzzContentParts(f *testing.F) {
	for _, content := range []string{
		`"hi"`, `null`, `[]`, `[{}]`, `[null]`, `[{"type":"text","text":"a"},{"type":"text","text":"b\u00e9"}]`,
		`[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"refusal","refusal":"no"}]`,
		`[{"type":"image_url","image_url":"data:image/gif;base64,!"}]`, `[{"type":"image_url","image_url":"https://example.com/a.png"}]`,
		`[{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}]`, `[{"type":"input_text","text":"\ud83d\udc4b"}]`,
	} {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content string) {
		req, err := translate.DecodeChat([]byte(talk(`{"role":"user","content":` + content + `}`)))
		if err == nil {
			var out *translate.Exchange
			if out, err = exchange(req, complete(translate.Settings{}, req)); err == nil {
				one := sent(t, out.Requests[0])
				if len(one.Messages) != len(req.Messages) {
					t.Fatalf("%d messages became %d", len(req.Messages), len(one.Messages))
				}
				for _, image := range one.Messages[0].Images {
					if _, err := base64.StdEncoding.DecodeString(image); err != nil {
						t.Fatalf("an image that Ollama cannot decode: %v", err)
					}
				}
				return
			}
		}
		if e, ok := errors.AsType[*openai.Error](err); !ok || e.Message == "" || !knownParam.MatchString(e.Param) {
			t.Fatalf("%T: %v", err, err)
		}
	})
}
