package integration

import (
	"os"
	"path/filepath"
	"testing"
)

// What a conversation is called depends on a key that is made once, in Caddy's storage.
func TestAConversationKeepsItsNameThroughARestart(t *testing.T) {
	upstream := scripted(t)
	ask := func(g *gateway) string {
		t.Helper()
		a := g.mustPost(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", false))
		id := a.header.Get("X-Conversation-Id")
		if a.status != 200 || id == "" {
			t.Fatalf("got %d, conversation %q", a.status, id)
		}
		checkRecord(t, g.recordOf(a), record{"gen_ai.conversation.id": id})
		return id
	}
	g := startGateway(t, upstream.Address())
	name := ask(g)
	g.stop()
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	if again := ask(g); again != name {
		t.Errorf("after a restart the conversation is %s, was %s", again, name)
	}
	if err := g.reload(g.caddyfile); err != nil {
		t.Fatal(err)
	}
	if again := ask(g); again != name {
		t.Errorf("after a reload the conversation is %s, was %s", again, name)
	}
	if other := ask(startGateway(t, upstream.Address())); other == name {
		t.Error("the gateway of another installation calls it the same")
	}
	keys, err := filepath.Glob(g.file("data/caddy/caddy_ollama/conversation.key"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys are %q, %v", keys, err)
	}
	if info, err := os.Stat(keys[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v, %v", info.Mode(), err)
	}
}
