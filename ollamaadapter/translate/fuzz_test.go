package translate_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// FuzzStream: whatever an upstream sends, and wherever the network cuts it, the
// events are well-formed, the stream ends once, and the cuts make no difference.
func FuzzStream(f *testing.F) {
	for i, script := range scripts {
		f.Add([]byte(script.in), uint64(i), i%2 == 0)
	}
	f.Add([]byte(`{"message":{"tool_calls":[{"function":{"name":"f","arguments":[1]}},{}]},"done":true}`), uint64(3), true)
	f.Add([]byte("{\"done\":true,\"done\":false}\n{\"error\":{\"message\":\"x\"}}\n"), uint64(4), false)
	f.Add([]byte("null\n[]\n\"\"\n0\n"), uint64(5), true)
	f.Add([]byte(`{"message":{"content":"\ud800\u0000"},"eval_count":-1,"done":true}`), uint64(6), true)
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, includeUsage bool) {
		whole, stream, err := feed(includeUsage, string(data))
		endedOnce(t, whole, stream, err)
		pieces := cut(string(data), rand.New(rand.NewPCG(seed, 0)))
		inPieces, stream, errInPieces := feed(includeUsage, pieces...)
		endedOnce(t, inPieces, stream, errInPieces)
		if mask(inPieces) != mask(whole) || errInPieces != err {
			t.Errorf("in one piece:\n%s, error %v\ncut as %q:\n%s, error %v", whole, err, pieces, inPieces, errInPieces)
		}
	})
}

// mask hides what is drawn anew for each answer.
func mask(events string) string { return madeUp.ReplaceAllString(events, "ID") }

// knownParam is the form of the params that errors may name: fields of ours, in
// lower case, and indexes.
var knownParam = regexp.MustCompile(`^([a-z_]+(\[[0-9]+\])*(\.[a-z_]+(\[[0-9]+\])*)*)?$`)

// FuzzDecodeChat: whatever a client sends either becomes JSON for Ollama or is
// refused with an error that a client can read.
func FuzzDecodeChat(f *testing.F) {
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"model":5}`, `{"model":"m","messages":null}`,
		asking(``), asking(`"stream":true,"stream_options":{"include_usage":true},"stop":["a"],"seed":1,"max_tokens":3,"temperature":1e0`),
		asking(`"tools":[{"type":"function","function":{"name":"f","parameters":{"a":[{}]}}}],"tool_choice":"auto"`),
		asking(`"response_format":{"type":"json_schema","json_schema":{"schema":{}}},"reasoning_effort":"none"`),
		asking(`"metadata":{"conversation_id":"c"},"n":2,"logit_bias":{"1":2},"audio":{},"functions":[null]`),
		talk(`{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"\ud83d\udc4b"},{"type":"image_url","image_url":"data:image/png;base64,AAAA"}]}`),
		talk(`{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}`),
		talk(`{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":\"\u2028\\ud800\"}"}}]}`),
	} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, mergeSystem bool) {
		req, err := translate.DecodeChat(body)
		if err == nil {
			settings := translate.Settings{Model: "m", MergeSystem: mergeSystem, Features: ollama.Newest,
				Rules: policy.Rules{Defaults: map[string]any{"temperature": 0.7}}}
			out, errOut := exchange(req, settings)
			if err = errOut; err == nil {
				if one := sent(t, out.Requests[0]); len(one.Messages) == 0 || one.Model == "" {
					t.Fatalf("%+v would make Ollama load a model and say nothing", one)
				}
				return
			}
		}
		e, ok := errors.AsType[*openai.Error](err)
		if !ok {
			t.Fatalf("%T: %v", err, err)
		}
		if e.Message == "" || e.Type != openai.TypeInvalidRequest || !knownParam.MatchString(e.Param) || !jsontext.Value(e.JSON()).IsValid() {
			t.Fatalf("%s", e.JSON())
		}
	})
}

// FuzzWhole: whatever an upstream answers either becomes JSON that an SDK can read,
// with a finish reason for each choice, or is one of the errors.
func FuzzWhole(f *testing.F) {
	for _, body := range []string{
		``, `null`, `{"done":true}`, `{"error":"x"}`, `{"response":"hi","thinking":"hm","done":true,"done_reason":"length"}`,
		`{"message":{"content":"hi","tool_calls":[{"function":{"name":"f","arguments":{"a":"\u2028"}}}]},"done":true,"eval_count":1}`,
		`{"message":{"content":"{\"name\":\"f\",\"arguments\":{}}"},"logprobs":[{"token":"x"}],"done":true}`,
	} {
		f.Add([]byte(body), true, false)
		f.Add([]byte(body), false, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, forced, text bool) {
		whole := translate.NewWhole(identity, translate.AnswerForm{Choices: 1, ForcedCall: forced, Text: text, Logprobs: true})
		if err := add(whole, body); err != nil {
			if !errors.Is(err, translate.ErrCutShort) && !errors.Is(err, translate.ErrGarbage) && !errors.Is(err, translate.ErrUpstream) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		data, err := json.Marshal(whole.Completion(), jsontext.AllowInvalidUTF8(true))
		if err != nil || !jsontext.Value(data).IsValid() || !bytes.Contains(data, []byte(`"finish_reason":"`)) {
			t.Fatalf("%v: %s", err, data)
		}
	})
}
