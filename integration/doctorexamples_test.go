package integration

import (
	"path/filepath"
	"slices"
	"testing"
)

// What we give away the doctor must not call ill. An example that nobody shows it fails.
func TestTheDoctorPassesEveryExample(t *testing.T) {
	aClient := func(g *gateway) []string {
		writeCert(t, g.file("client.crt"), g.client.Certificate[0])
		writeKey(t, g.file("client.key"), g.client.PrivateKey)
		return []string{"--config", g.configFile(), "--cert", g.file("client.crt"), "--key", g.file("client.key")}
	}
	show := map[string]struct {
		skipped []string // steps that cannot be taken there
		start   func(t *testing.T, upstream string) (dir string, args []string)
	}{
		"gateway.Caddyfile": {nil, func(t *testing.T, upstream string) (string, []string) {
			g := startGateway(t, upstream)
			return g.dir, aClient(g)
		}},
		"gateway-node.Caddyfile": {[]string{"ollama", "model", "loaded", "context"}, func(t *testing.T, upstream string) (string, []string) {
			n := startNodesOnLoopback(t, upstream)
			return n.gateway.dir, aClient(n.gateway)
		}},
		"adapter-node.Caddyfile": {[]string{"token", "no token", "rate headers"}, func(t *testing.T, upstream string) (string, []string) {
			n := startNodesOnLoopback(t, upstream)
			return n.adapter.dir, append(aClient(n.adapter), "--from", "127.0.0.1")
		}},
		"sidecar.Caddyfile": {[]string{"ollama", "model", "loaded", "context", "exposure"}, func(t *testing.T, upstream string) (string, []string) {
			g := startGateway(t, upstream)
			s := startSidecar(t, g.address(), g.ca, g.client)
			return s.dir, []string{"--config", s.file("Caddyfile"), "--model", "hello"}
		}},
	}
	examples, err := filepath.Glob("../caddyfile-examples/*.Caddyfile")
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, example := range examples {
		name := filepath.Base(example)
		t.Run(name, func(t *testing.T) {
			s, ok := show[name]
			if !ok {
				t.Fatal("no test shows this example to the doctor")
			}
			ollama := ollamaWith(t, loadedAtOnce("hello", 32768))
			dir, args := s.start(t, ollama.Address())
			args = append(args, "--json")
			examine(t, dir, args...) // which loads the model
			d := examine(t, dir, args...)
			if !d.Sound || d.exit != 0 {
				t.Errorf("ends with %d", d.exit)
			}
			for _, step := range d.Steps {
				want := "ok"
				if slices.Contains(s.skipped, step.Step) {
					want = "skipped"
				}
				if step.Status != want {
					t.Errorf("%s is %s, want %s: %s %s", step.Step, step.Status, want, step.Finding, step.Cause)
				}
			}
		})
	}
}
