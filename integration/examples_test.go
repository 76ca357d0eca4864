package integration

import (
	"path/filepath"
	"testing"
)

// TestEveryExampleStarts serves a request through each configuration that we
// give away. An example without a way to start it here fails.
func TestEveryExampleStarts(t *testing.T) {
	start := map[string]func(t *testing.T, upstream string) *gateway{
		"gateway.Caddyfile": startGateway,
	}
	examples, err := filepath.Glob("../caddyfile-examples/*.Caddyfile")
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, example := range examples {
		name := filepath.Base(example)
		t.Run(name, func(t *testing.T) {
			if start[name] == nil {
				t.Fatal("no test starts this example")
			}
			g := start[name](t, scripted(t).Address())
			if a := g.mustPost(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", false)); a.status != 200 {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}
