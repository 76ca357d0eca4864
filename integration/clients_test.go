package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

func TestSDKsOfTheNPMWorld(t *testing.T) {
	packages := npmPackages(t, "clients/sdks")
	g := prepareGateway(t, upstreamOf(realOllama(t)))
	g.caddyfile = unlimited(g.caddyfile)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	g.runNode(packages, "sdks.mjs", map[string]string{
		"hello": scriptedmodel.HelloText, "tool": scriptedmodel.ToolAnswer,
		"thinking": scriptedmodel.ThinkerThinking, "thinker": scriptedmodel.ThinkerAnswer,
	})
}

// unlimited is the configuration for a host that runs many SDKs at once, which is no
// client that anybody would limit.
func unlimited(caddyfile string) string {
	return strings.NewReplacer("rate 5/s", "rate 1000/s", "burst 10", "burst 1000", "penalty 3 10m", "").Replace(caddyfile)
}

// runNode runs a script of integration/clients/sdks that tests by itself.
func (g *gateway) runNode(packages, script string, expect map[string]string) {
	g.t.Helper()
	expected, err := json.Marshal(expect)
	if err != nil {
		g.t.Fatal(err)
	}
	output, err := g.node(packages, script, "TOKEN="+tokenFor(g.t, "sdks"), "EXPECT="+string(expected))
	g.t.Logf("%s", output)
	if err != nil {
		g.t.Errorf("node: %v", err)
	}
}

// node runs a script of integration/clients/sdks, below the packages, where Node looks
// for what it imports, with the gateway's URL and a client certificate.
func (g *gateway) node(packages, script string, environ ...string) ([]byte, error) {
	g.t.Helper()
	writeCert(g.t, g.file("client.crt"), g.client.Certificate[0])
	writeKey(g.t, g.file("client.key"), g.client.PrivateKey)
	dir, err := os.MkdirTemp(packages, "run")
	if err != nil {
		g.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"gateway.mjs", script} {
		writeFile(g.t, filepath.Join(dir, name), []byte(readFile(g.t, "clients/sdks/"+name)))
	}
	run := exec.CommandContext(g.t.Context(), "node", filepath.Join(dir, script))
	run.Env = append(append(os.Environ(), "BASE_URL="+g.url("/v1"),
		"CA="+g.file("internal-ca.crt"), "CERT="+g.file("client.crt"), "KEY="+g.file("client.key")), environ...)
	return run.CombinedOutput()
}
