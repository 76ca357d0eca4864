package translate_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// The states of last lines, as Ollama has written them since there is /api/chat.
var endStates = []string{
	`"done":true}`,
	`"done":true,"total_duration":1,"load_duration":2,"prompt_eval_count":3,"prompt_eval_duration":4,"eval_count":5,"eval_duration":6}`,
	`"done_reason":"stop","done":true,"total_duration":1,"load_duration":2,"prompt_eval_count":3,"prompt_eval_duration":4,"eval_count":5,"eval_duration":6}`,
	`"done":true,"done_reason":"length","total_duration":4883583458,"load_duration":1334875,"prompt_eval_count":26,"prompt_eval_duration":342546000,"eval_count":282,"eval_duration":4535599000}`,
	`"done":true,"done_reason":"stop","prompt_eval_count":30,"prompt_eval_cached_count":20,"eval_count":5}`,
}

// ended is what the last line of an answer makes of it in each form. spelling is how the
// line begins.
func ended(spelling, state string) (outs []string, summaries []translate.Summary, errs []error) {
	for _, form := range forms {
		answer := form.make(translate.AnswerForm{Choices: 1, IncludeUsage: true})
		first, _ := answer.Write([]byte(plainForms["chat"].before + "a" + plainForms["chat"].after + "}\n"))
		out := string(first)
		last, err := answer.Write([]byte(spelling + `"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},` + state + "\n"))
		out += string(last)
		if err == nil {
			last, err = answer.CloseChoice()
			out += string(last)
		}
		outs = append(outs, strings.ReplaceAll(out, `{ "model"`, `{"model"`)) // which Ollama's own dialect passes on
		summaries, errs = append(summaries, answer.Summary()), append(errs, err)
	}
	return outs, summaries, errs
}

// endAlike checks that a last line says the same whether it is decoded or not.
func endAlike(t *testing.T, state string) {
	t.Helper()
	outs, summaries, errs := ended(`{`, state)
	decodedOuts, decodedSummaries, decodedErrs := ended(`{ `, state)
	if !reflect.DeepEqual(outs, decodedOuts) || !reflect.DeepEqual(summaries, decodedSummaries) || !reflect.DeepEqual(errs, decodedErrs) {
		t.Errorf("taken as it is %q, %+v, %v\ndecoded        %q, %+v, %v", outs, summaries, errs, decodedOuts, decodedSummaries, decodedErrs)
	}
}

func TestAnEndIsReadAlikeWhetherItIsDecodedOrNot(t *testing.T) {
	for _, state := range append(endStates,
		`"done":true,"done_reason":""}`, `"done":true,"done_reason":"l\u0065ngth"}`, `"done":true,"done_reason":"unload"}`, `"done":true,"done_reason":null}`,
		`"done":true,"eval_count":0}`, `"done":true,"eval_count":-1}`, `"done":true,"eval_count":1.0}`, `"done":true,"eval_count":1e3}`, `"done":true,"eval_count":01}`, `"done":true,"eval_count":00}`,
		`"done":true,"eval_count":99999999999999999999}`, `"done":true,"eval_duration":99999999999999999999}`, `"done":true,"eval_count":}`, `"done":true,"eval_count":"7"}`,
		`"done":true,"eval_count":7,"eval_count":8}`, `"done":true,"done":false}`, `"done":false,"done":true}`, `"eval_count":7}`, `}`, ``, `"done":true`, `"done":true,}`, `"done":true}}`, `"done":true "eval_count":7}`,
		`"done":true,"error":"x"}`, `"done":true,"context":[1,2]}`, `"done":true,"logprobs":[{"token":"x"}]}`, `"done":true,"eval_counts":7}`,
	) {
		t.Run(state, func(t *testing.T) { endAlike(t, state) })
	}
}

func FuzzPlainEnd(f *testing.F) {
	for _, state := range endStates {
		f.Add(state)
	}
	f.Fuzz(func(t *testing.T, state string) {
		if !strings.Contains(state, "\n") { // else these are two lines
			endAlike(t, state)
		}
	})
}

// Each answer has an end, and decoding it costs as much as thirty lines.
func TestUsualEndsAreNotDecoded(t *testing.T) {
	for _, state := range endStates {
		for _, said := range []string{`"message":{"role":"assistant","content":""},`, `"response":"",`} {
			if line := `{"model":"m","created_at":"2026-01-01T00:00:00Z",` + said + state; !translate.IsPlainEnd([]byte(line)) {
				t.Errorf("decoded: %s", line)
			}
		}
	}
}

// BenchmarkEnd is an answer that is nothing but its last line.
func BenchmarkEnd(b *testing.B) {
	for _, form := range forms {
		b.Run(form.name, func(b *testing.B) {
			line := []byte(`{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},` + endStates[3] + "\n")
			b.ReportAllocs()
			for b.Loop() {
				answer := form.make(translate.AnswerForm{Choices: 1})
				if _, err := answer.Write(line); err != nil {
					b.Fatal(err)
				}
				if _, err := answer.CloseChoice(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
