package integration

import (
	"path/filepath"
	"testing"
)

// TestEveryExampleStarts serves a request through each configuration that we
// give away. An example without a way to start it here fails.
func TestEveryExampleStarts(t *testing.T) {
	serve := map[string]func(t *testing.T, upstream string) (answer, error){
		"gateway.Caddyfile": func(t *testing.T, upstream string) (answer, error) {
			g := startGateway(t, upstream)
			return g.post(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", false))
		},
		"gateway-node.Caddyfile": func(t *testing.T, upstream string) (answer, error) {
			n := startNodesOnLoopback(t, upstream)
			return n.gateway.post(n.gateway.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", true))
		},
		"adapter-node.Caddyfile": func(t *testing.T, upstream string) (answer, error) {
			n := startNodesOnLoopback(t, upstream)
			return n.adapter.post(n.adapter.from("127.0.0.1"), "", chatBody("hello", false))
		},
		"sidecar.Caddyfile": func(t *testing.T, upstream string) (answer, error) {
			g := startGateway(t, upstream)
			return startSidecar(t, g.address(), g.ca, g.client).post("127.0.0.1", unchanged)
		},
	}
	examples, err := filepath.Glob("../caddyfile-examples/*.Caddyfile")
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, example := range examples {
		name := filepath.Base(example)
		t.Run(name, func(t *testing.T) {
			if serve[name] == nil {
				t.Fatal("no test starts this example")
			}
			if a, err := serve[name](t, scripted(t).Address()); err != nil || a.status != 200 {
				t.Errorf("got %d %s (%v)", a.status, a.body, err)
			}
		})
	}
}
