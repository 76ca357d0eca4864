package translate_test

import (
	"errors"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

func embedding(t *testing.T, body string) *openai.EmbeddingRequest {
	t.Helper()
	req, err := translate.DecodeEmbedding([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return req
}

func TestEmbedRequest(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"one text", `{"input":"hi"}`, `{"model":"","input":["hi"],"truncate":false}`},
		{"several", `{"input":["a","b"],"dimensions":8,"user":"x"}`, `{"model":"","input":["a","b"],"truncate":false,"dimensions":8}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := embedding(t, test.body)
			err := translate.CheckEmbedding(req)
			if err != nil {
				t.Fatal(err)
			}
			if data, _ := translate.Encoded(translate.EmbedRequest(req, translate.Settings{}).Requests[0]); string(data) != test.want {
				t.Errorf("got %s, want %s", data, test.want)
			}
		})
	}
	for _, test := range []struct{ name, body, param string }{
		{"no input", `{}`, "input"},
		{"null", `{"input":null}`, "input"},
		{"an empty list", `{"input":[ ]}`, "input"},
		{"an empty text", `{"input":""}`, "input"},
		{"an empty text in a list", `{"input":[""]}`, "input"},
		{"an empty text among others", `{"input":["a",""]}`, "input"},
		{"null among texts", `{"input":["a",null]}`, "input"},
		{"token numbers", `{"input":[1,2]}`, "input"},
		{"lists of token numbers", `{"input":[[1],[2]]}`, "input"},
		{"an encoding nobody knows", `{"input":"a","encoding_format":"CANARY"}`, "encoding_format"},
		{"no dimensions", `{"input":"a","dimensions":0}`, "dimensions"},
	} {
		t.Run(test.name+" is refused", func(t *testing.T) {
			err := translate.CheckEmbedding(embedding(t, test.body))
			if e := openaiError(t, err); e.Param != test.param {
				t.Errorf("param %q, want %q", e.Param, test.param)
			}
		})
	}
	t.Run("a wrong type is refused when it is read", func(t *testing.T) {
		_, err := translate.DecodeEmbedding([]byte(`{"input":["a",7]}`))
		if e := openaiError(t, err); e.Code != openai.CodeInvalidType {
			t.Errorf("%+v", e)
		}
	})
}

func TestEmbeddings(t *testing.T) {
	const body = `{"model":"m:latest","embeddings":[[1,-0.5],[0,2]],"prompt_eval_count":3}`
	for _, test := range []struct{ name, format, first, second string }{
		{"numbers", ``, `[1,-0.5]`, `[0,2]`},
		{"float is numbers", `float`, `[1,-0.5]`, `[0,2]`},
		{"base64 is little-endian 32-bit numbers", `base64`, `"AACAPwAAAL8="`, `"AAAAAAAAAEA="`},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := embedding(t, `{"input":["a","b"],"encoding_format":"`+test.format+`"}`)
			list, summary, err := new(translate.Exchange).Embeddings([]byte(body), req, "asked")
			if err != nil {
				t.Fatal(err)
			}
			want := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":` + test.first + `},{"object":"embedding","index":1,"embedding":` +
				test.second + `}],"model":"asked","usage":{"prompt_tokens":3,"total_tokens":3}}`
			if data, _ := json.Marshal(list); string(data) != want {
				t.Errorf("got  %s\nwant %s", data, want)
			}
			if summary.PromptTokens != 3 || !summary.Counted || summary.Model != "m:latest" {
				t.Errorf("summary %+v", summary)
			}
		})
	}
	for _, test := range []struct {
		name, body string
		want       error
	}{
		{"fewer vectors than texts", `{"embeddings":[[1]]}`, translate.ErrCutShort},
		{"an error", `{"error":"CANARY"}`, translate.ErrUpstream},
		{"garbage", `<html>`, translate.ErrGarbage},
	} {
		t.Run(test.name+" is the upstream's fault", func(t *testing.T) {
			if _, _, err := new(translate.Exchange).Embeddings([]byte(test.body), embedding(t, `{"input":["a","b"]}`), "m"); !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
		})
	}
}
