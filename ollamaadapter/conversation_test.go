package ollamaadapter_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// Ten turns of a chat, from a client that says nothing of conversations: each request
// holds all that was said before.
func TestTenTurnsAreOneConversation(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	seen := make(map[string]map[string]int) // by user
	for _, user := range []string{"ann", "bob"} {
		seen[user] = make(map[string]int)
		messages := `{"role":"system","content":"You are helpful."}`
		for turn := range 10 {
			messages += fmt.Sprintf(`,{"role":"user","content":"question %d"}`, turn)
			body := fmt.Sprintf(`{"model":"m","stream":%t,"messages":[%s]}`, turn%2 == 1, messages)
			seen[user][conversation(t, g, body, "Test-Subject", user)]++
			messages += fmt.Sprintf(`,{"role":"assistant","content":"answer %d"}`, turn)
		}
		if len(seen[user]) != 1 {
			t.Errorf("ten turns of %s's are %v", user, seen[user])
		}
	}
	for id := range seen["ann"] {
		if seen["bob"][id] != 0 {
			t.Errorf("two users who open alike share %s", id)
		}
	}
}

// Without the key nobody can tell from its name how a conversation opened.
func TestConversationsAreNamedWithAKey(t *testing.T) {
	one, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	again, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
	name := conversation(t, one, saying(""))
	if other := conversation(t, again, saying("")); other != name {
		t.Errorf("gateways with one key say %s and %s", name, other)
	}
	hash := hmac.New(sha256.New, bytes.Repeat([]byte{0x0f}, 32)) // the harness's key
	hash.Write([]byte("0:4:user2:hi"))
	if want := "conv_" + hex.EncodeToString(hash.Sum(nil)[:16]); name != want {
		t.Errorf("the conversation is %s, want %s", name, want)
	}
}

func TestConversationByItsFirstImage(t *testing.T) {
	g, _ := start(t, ollamaadapter.Handler{}, able("m", "vision")...)
	seen := make(map[string]bool)
	for _, image := range []string{"AAAA", "BBBB", "AAAA"} {
		body := `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what?"},{"type":"image_url","image_url":"data:image/png;base64,` + image + `"}]}]}`
		seen[conversation(t, g, body)] = true
	}
	if len(seen) != 2 {
		t.Errorf("two conversations are called %v", seen)
	}
}
