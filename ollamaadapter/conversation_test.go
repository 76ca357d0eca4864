package ollamaadapter_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// conversation is what the gateway calls the conversation of a request, in its
// answer and its record alike.
func conversation(t *testing.T, g *gateway, body string, headers ...string) string {
	t.Helper()
	resp := g.post(t, body, headers...)
	id := resp.Header.Get("X-Conversation-Id")
	if end := g.ended(t); resp.StatusCode != 200 || end.ConversationID != id {
		t.Fatalf("%s, header %q, record %q", resp.Status, id, end.ConversationID)
	}
	return id
}

var hashed = regexp.MustCompile(`^conv_[0-9a-f]{32}$`)

func TestConversationAsTheClientCallsIt(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	const metadata, key = `"metadata":{"conversation_id":"from-metadata"}`, `"prompt_cache_key":"from-key"`
	for _, test := range []struct{ name, header, fields, want string }{
		{"the header counts most", "from-header", metadata + "," + key, "from-header"},
		{"then the metadata", "", metadata + "," + key, "from-metadata"},
		{"then the cache key", "", key, "from-key"},
		{"any visible character will do", `!"#~:/{}`, "", `!"#~:/{}`},
		{"128 characters are not too many", strings.Repeat("x", 128), "", strings.Repeat("x", 128)},
		{"a header of nonsense is passed over", "two words", metadata, "from-metadata"},
		{"a header in other scripts is passed over", "grüße", key, "from-key"},
		{"a header too long is passed over", strings.Repeat("x", 129), key, "from-key"},
		{"metadata that could forge a log line is passed over", "", `"metadata":{"conversation_id":"a\nb"},` + key, "from-key"},
		{"metadata that is no text is passed over", "", `"metadata":{"conversation_id":5},` + key, "from-key"},
		{"other metadata is no name", "", `"metadata":{"conversation":"x"},` + key, "from-key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var headers []string
			if test.header != "" {
				headers = []string{"X-Conversation-Id", test.header}
			}
			if got := conversation(t, g, saying(test.fields), headers...); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	t.Run("a name that is nonsense everywhere is a hash", func(t *testing.T) {
		got := conversation(t, g, saying(`"prompt_cache_key":"","metadata":{"conversation_id":null}`), "X-Conversation-Id", " ")
		if !hashed.MatchString(got) {
			t.Errorf("got %q", got)
		}
	})
}

func TestConversationByItsOpening(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"), ollamatest.Says("n", "hi"))
	const opening = `{"role":"system","content":"s"},{"role":"user","content":"first"}`
	talk := func(messages string) string { return `{"model":"m","messages":[` + messages + `]}` }
	want := conversation(t, g, talk(opening), "Test-Subject", "ann")
	if !hashed.MatchString(want) {
		t.Fatalf("got %q", want)
	}
	for _, test := range []struct {
		name, subject, body string
		same                bool
	}{
		{"stays the same when asked again", "ann", talk(opening), true},
		{"stays the same as the conversation grows", "ann", talk(opening + `,{"role":"assistant","content":"a"},{"role":"user","content":"second"}`), true},
		{"stays the same as tools are called", "ann", talk(opening + `,{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"c","content":"r"}`), true},
		{"stays the same with another model and other options", "ann", `{"model":"n","temperature":1,"stream":true,"messages":[` + opening + `]}`, true},
		{"stays the same where a client sends text now as a string and now as a part", "ann", talk(`{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"first"}]}`), true},
		{"stays the same where a client escapes what it need not", "ann", talk(`{"role":"system","content":"\u0073"},{"role":"user","content":[{"type":"text","text":"\u0066irst"}]}`), true},
		{"differs between users", "bob", talk(opening), false},
		{"differs between a user and nobody", "", talk(opening), false},
		{"differs by the first user message", "ann", talk(`{"role":"system","content":"s"},{"role":"user","content":"other"}`), false},
		{"differs by the system text", "ann", talk(`{"role":"system","content":"t"},{"role":"user","content":"first"}`), false},
		{"differs without the system text", "ann", talk(`{"role":"user","content":"first"}`), false},
		{"differs if text moves from one message to the next", "ann", talk(`{"role":"system","content":"sf"},{"role":"user","content":"irst"}`), false},
		{"differs if one message looks like two", "ann", talk(`{"role":"system","content":"suserfirst"}`), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := conversation(t, g, test.body, "Test-Subject", test.subject)
			if (got == want) != test.same || !hashed.MatchString(got) {
				t.Errorf("got %q after %q", got, want)
			}
		})
	}
}

func TestConversationByItsFirstImage(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	seen := make(map[string]bool)
	for _, image := range []string{"AAAA", "BBBB", "AAAA"} {
		body := `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what?"},{"type":"image_url","image_url":"data:image/png;base64,` + image + `"}]}]}`
		seen[conversation(t, g, body)] = true
	}
	if len(seen) != 2 {
		t.Errorf("two conversations are called %v", seen)
	}
}
