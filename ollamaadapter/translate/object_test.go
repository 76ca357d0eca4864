package translate_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

func TestObject(t *testing.T) {
	summary := translate.Summary{Model: "m", PromptTokens: 3, Counted: true}
	for _, test := range []struct {
		name   string
		pieces []string
		turned string // the body that is turned
		out    string
		err    error
	}{
		{"it is turned whole, wherever it was cut", []string{`{"a`, ``, `":1`, `}`}, `{"a":1}`, `turned`, nil},
		{"an answer of nothing is turned too, which tells what it thinks of that", nil, ``, ``, translate.ErrGarbage},
		{"what cannot be turned is an error, and no answer", []string{`<html>`}, `<html>`, ``, translate.ErrGarbage},
	} {
		t.Run(test.name, func(t *testing.T) {
			var turned []string
			o := translate.NewObject(func(body []byte) ([]byte, translate.Summary, error) {
				turned = append(turned, string(body))
				if test.err != nil {
					return nil, translate.Summary{}, test.err
				}
				return []byte(test.out), summary, nil
			})
			for _, piece := range test.pieces {
				if out, err := o.Write([]byte(piece)); len(out) > 0 || err != nil {
					t.Errorf("Write: %q, %v", out, err)
				}
			}
			if len(turned) > 0 || o.ChoiceDone() || o.Summary().Counted {
				t.Errorf("before the end it is done: %q, %v, %+v", turned, o.ChoiceDone(), o.Summary())
			}
			out, err := o.CloseChoice()
			if string(out) != test.out || !errors.Is(err, test.err) || o.ChoiceDone() != (test.err == nil) {
				t.Errorf("got %q, %v, done %v", out, err, o.ChoiceDone())
			}
			if !slices.Equal(turned, []string{test.turned}) {
				t.Errorf("turned %q, want %q once", turned, test.turned)
			}
			if got := o.Summary(); got.Counted != (test.err == nil) || got.PromptTokens != 3 && test.err == nil {
				t.Errorf("summary %+v", got)
			}
		})
	}
}

func TestAnObjectCannotEndInPart(t *testing.T) {
	o := translate.NewObject(func(body []byte) ([]byte, translate.Summary, error) { return body, translate.Summary{}, nil })
	_, _ = o.Write([]byte(`{"a":`))
	if out := o.CutOff(); out != nil {
		t.Errorf("cut off, it is %q", out)
	}
	if out := o.Failure(openai.ErrorOf(502)); out != nil {
		t.Errorf("failed, it is %q", out)
	}
	if o.Stopped() || o.Lines() != 0 {
		t.Errorf("stopped %v after %d lines", o.Stopped(), o.Lines())
	}
	if beat := string(o.Heartbeat()); beat != "\n" {
		t.Errorf("heartbeat %q", beat)
	}
	_, _ = o.Write([]byte(`1}`))
	if out, err := o.CloseChoice(); string(out) != `{"a":1}` || err != nil {
		t.Errorf("in the end it is %q, %v", out, err)
	}
}
