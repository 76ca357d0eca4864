package openai_test

import (
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Texts are passed on as they lie in the body: the library must neither copy them
// nor write over them as it reads on.
func TestTextIsAPieceOfWhatWasDecoded(t *testing.T) {
	const sent = `{"messages":[{"content":"first"},{"content":[{"text":"se\u0063ond"}]},{"reasoning":"third"}]}`
	body := []byte(sent)
	var req openai.ChatRequest
	if err := json.Unmarshal(body, &req); err != nil {
		t.Fatal(err)
	}
	if string(body) != sent {
		t.Errorf("the body has become %s", body)
	}
	for _, test := range []struct {
		text openai.Text
		at   int
		want string
	}{
		{req.Messages[0].Content.Text, 24, `"first"`},
		{req.Messages[1].Content.Parts[0].Text, 53, `"se\u0063ond"`},
		{req.Messages[2].Reasoning, 83, `"third"`},
	} {
		if string(test.text) != test.want {
			t.Errorf("got %s, want %s", test.text.JSON(), test.want)
		} else if &test.text[0] != &body[test.at] {
			t.Errorf("%s is a copy", test.want)
		}
	}
}

func TestTextSaysWhatItsSenderWrote(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"plain", `"a b"`, "a b"},
		{"escapes", `"\u0041\/\n\"\\"`, "A/\n\"\\"},
		{"a surrogate pair", `"\ud83d\udc4b"`, "👋"},
		{"nothing", `""`, ""},
		{"null is nothing", `null`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var text openai.Text
			if err := json.Unmarshal([]byte(test.in), &text); err != nil {
				t.Fatal(err)
			}
			if text.String() != test.want || text.Empty() != (test.want == "") {
				t.Errorf("says %q, empty: %t; want %q", text, text.Empty(), test.want)
			}
			if said := string(text.AppendTo([]byte("> "))); said != "> "+test.want {
				t.Errorf("appends %q", said)
			}
			if again := openai.TextOf(test.want); again.String() != test.want {
				t.Errorf("%s says %q", again.JSON(), again)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	for _, test := range []struct {
		name  string
		texts []openai.Text
		want  string
	}{
		{"several, as each is written", []openai.Text{openai.Text(`"\u0041"`), openai.Text(`"\""`)}, `"\u0041\n\""`},
		{"nothing among others", []openai.Text{openai.Text(`"a"`), nil, openai.Text(`""`)}, `"a\n\n"`},
		{"one", []openai.Text{openai.Text(`"a"`)}, `"a"`},
		{"one that is nothing", []openai.Text{nil}, `""`},
		{"none", nil, `""`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(openai.Join(test.texts, "\n").JSON()); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
