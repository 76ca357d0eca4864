package ollamaadapter

import (
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

func TestABodyInPiecesIsReadAsOne(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	for name, pieces := range map[string]translate.Pieces{
		"no piece":                   {},
		"one piece":                  {[]byte("one")},
		"several":                    {[]byte("{"), []byte(long), []byte(","), []byte(long), []byte("}")},
		"with empty ones everywhere": {nil, []byte("a"), nil, nil, []byte("b"), nil},
		"nothing but empty ones":     {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var whole []byte
			for _, piece := range pieces {
				whole = append(whole, piece...)
			}
			if err := iotest.TestReader(&body{rest: pieces}, whole); err != nil {
				t.Error(err)
			}
		})
	}
}
