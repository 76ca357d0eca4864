package translate_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// texts translates a request for completions and returns what goes to Ollama.
func texts(t *testing.T, body string, settings translate.Settings) ([]string, error) {
	t.Helper()
	req, err := translate.DecodeText([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	settings.Model, settings.Features, settings.CutOverflow = "m", ollama.Newest, true
	draft, err := translate.DraftText(req)
	if err != nil {
		return nil, err
	}
	exchange, err := draft.For(settings)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if exchange.Path != "/api/generate" || exchange.Answer.Choices != len(exchange.Requests) {
		t.Errorf("exchange %+v", exchange)
	}
	var out []string
	for _, native := range exchange.Requests {
		data, err := translate.Encoded(native)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(data))
	}
	return out, nil
}

func TestTextRequest(t *testing.T) {
	for _, test := range []struct {
		name, body string
		settings   translate.Settings
		want       []string
	}{
		{"a prompt", `{"prompt":"hi"}`, translate.Settings{}, []string{`{"model":"m","prompt":"hi","stream":true}`}},
		{"a prompt with what follows it", `{"prompt":"def f(","suffix":"return x","stream":true,"max_tokens":5}`, translate.Settings{},
			[]string{`{"model":"m","prompt":"def f(","suffix":"return x","stream":true,"options":{"num_predict":5}}`}},
		{"a prompt without a template around it", `{"prompt":"hi","raw":true}`, translate.Settings{}, []string{`{"model":"m","prompt":"hi","stream":true,"raw":true}`}},
		{"several prompts, n times each, by seeds of their own", `{"prompt":["a","b"],"n":2,"seed":7}`, translate.Settings{}, []string{
			`{"model":"m","prompt":"a","stream":true,"options":{"seed":7}}`, `{"model":"m","prompt":"a","stream":true,"options":{"seed":8}}`,
			`{"model":"m","prompt":"b","stream":true,"options":{"seed":7}}`, `{"model":"m","prompt":"b","stream":true,"options":{"seed":8}}`}},
		{"a model that thinks is told not to, because there is no field for it", `{"prompt":"hi"}`, translate.Settings{Thinks: true, ThinksKnown: true},
			[]string{`{"model":"m","prompt":"hi","stream":true,"think":false}`}},
		{"probabilities", `{"prompt":"hi","logprobs":2,"best_of":1}`, translate.Settings{}, []string{`{"model":"m","prompt":"hi","stream":true,"logprobs":true,"top_logprobs":2}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := texts(t, test.body, test.settings)
			if err != nil || strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("%v\ngot  %s\nwant %s", err, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
	for _, test := range []struct{ name, body, param string }{
		{"no prompt", `{}`, "prompt"},
		{"an empty prompt", `{"prompt":""}`, "prompt"},
		{"an empty prompt among others", `{"prompt":["a",""]}`, "prompt"},
		{"token numbers", `{"prompt":[1,2]}`, "prompt"},
		{"too many", `{"prompt":["a","b","c"],"n":3}`, "n"},
		{"so many that a product of 64 bits is 0", `{"prompt":["a","b","c","d","e","f","g","h"],"n":2305843009213693952}`, "n"},
		{"none", `{"prompt":"a","n":0}`, "n"},
		{"the best of many", `{"prompt":"a","best_of":3}`, "best_of"},
		{"a bias", `{"prompt":"a","logit_bias":{"1":1}}`, "logit_bias"},
		{"too many probabilities", `{"prompt":"a","logprobs":6}`, "logprobs"},
		{"a temperature out of range", `{"prompt":"a","temperature":3}`, "temperature"},
	} {
		t.Run(test.name+" is refused", func(t *testing.T) {
			_, err := texts(t, test.body, translate.Settings{})
			if e := openaiError(t, err); e.Param != test.param {
				t.Errorf("param %q, want %q", e.Param, test.param)
			}
		})
	}
}

func TestTextLogprobsOfAnOldOllamaAreRefused(t *testing.T) {
	req, err := translate.DecodeText([]byte(`{"prompt":"hi","logprobs":1}`))
	if err != nil {
		t.Fatal(err)
	}
	draft, err := translate.DraftText(req)
	if err != nil {
		t.Fatalf("refused for any Ollama: %v", err)
	}
	_, err = draft.For(translate.Settings{Model: "m", Features: ollama.FeaturesOf("0.12.10")})
	if e := openaiError(t, err); e.Param != "logprobs" || e.Code != openai.CodeUnsupported {
		t.Errorf("param %q, code %q", e.Param, e.Code)
	}
}

func TestTextAnswers(t *testing.T) {
	const final = `"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}`
	form := translate.AnswerForm{Text: true, Choices: 2, IncludeUsage: true, Echo: []string{"say ", "and "}}
	whole := translate.NewWhole(identity, form)
	stream := translate.NewStream(identity, form)
	var events strings.Builder
	for _, text := range []string{"one", "two"} {
		if err := add(whole, []byte(`{"response":"`+text+`",`+final)); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{`{"response":"` + text + `"}`, `{"response":"",` + final} {
			out, err := stream.Write([]byte(line + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			events.Write(out)
		}
		if _, err := stream.CloseChoice(); err != nil {
			t.Fatal(err)
		}
	}
	const usage = `"usage":{"prompt_tokens":6,"completion_tokens":4,"total_tokens":10}`
	want := `{"id":"chatcmpl-1","object":"text_completion","created":1700000000,"model":"m","choices":[` +
		`{"index":0,"text":"say one","logprobs":null,"finish_reason":"stop"},{"index":1,"text":"and two","logprobs":null,"finish_reason":"stop"}],` + usage + `}`
	if data := string(whole.JSON()); data != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	chunk := func(choices, rest string) string {
		return `data: {"id":"chatcmpl-1","object":"text_completion","created":1700000000,"model":"m","choices":[` + choices + `]` + rest + "}\n\n"
	}
	wantEvents := chunk(`{"index":0,"text":"say ","logprobs":null,"finish_reason":null}`, "") +
		chunk(`{"index":0,"text":"one","logprobs":null,"finish_reason":null}`, "") +
		chunk(`{"index":0,"text":"","logprobs":null,"finish_reason":"stop"}`, "") +
		chunk(`{"index":1,"text":"and ","logprobs":null,"finish_reason":null}`, "") +
		chunk(`{"index":1,"text":"two","logprobs":null,"finish_reason":null}`, "") +
		chunk(`{"index":1,"text":"","logprobs":null,"finish_reason":"stop"}`, "") +
		chunk("", `,`+usage) + "data: [DONE]\n\n"
	if events.String() != wantEvents {
		t.Errorf("got  %s\nwant %s", events.String(), wantEvents)
	}
}

func TestTextLogprobs(t *testing.T) {
	const in = `"logprobs":[{"token":"né","logprob":-0.5,"top_logprobs":[{"token":"ho","logprob":-1}]},{"token":"!","logprob":-2}]`
	whole := translate.NewWhole(identity, translate.AnswerForm{Text: true, Choices: 1, Logprobs: true, Echo: []string{"hé "}})
	if err := add(whole, []byte(`{"response":"né!",`+in+`,"done":true}`)); err != nil {
		t.Fatal(err)
	}
	got := whole.Completion().(*openai.TextCompletion).Choices[0]
	want := `{"tokens":["né","!"],"token_logprobs":[-0.5,-2],"top_logprobs":[{"ho":-1},{}],"text_offset":[3,5]}`
	if data, err := json.Marshal(got.Logprobs); err != nil || string(data) != want || got.Text != "hé né!" {
		t.Errorf("%v\ntext %q\ngot  %s\nwant %s", err, got.Text, data, want)
	}
}

// A stream's offsets count the echoed prompt, as a whole answer's do.
func TestTextLogprobsOfAStreamCountTheEcho(t *testing.T) {
	stream := translate.NewStream(identity, translate.AnswerForm{Text: true, Choices: 1, Logprobs: true, Echo: []string{"hé "}})
	out, err := stream.Write([]byte(`{"response":"né","logprobs":[{"token":"né","logprob":-0.5}]}` + "\n"))
	if err != nil || !strings.Contains(string(out), `"text_offset":[3]`) {
		t.Errorf("%v: %s", err, out)
	}
}
