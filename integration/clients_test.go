package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// nodeClients are the packages of integration/clients.
func nodeClients(t *testing.T) string {
	t.Helper()
	return nodePackages(t, "clients")
}

// nodePackages installs the packages of a folder here once, in the user's cache folder,
// and returns the folder. Without Node or npm's registry the test is skipped, but not in
// CI.
func nodePackages(t *testing.T, folder string, options ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("installs packages from npm; run without -short")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s, which is not here", program)
		}
	}
	packages, err := os.ReadFile(folder + "/package.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(packages)
	dir := filepath.Join(cache, "caddy-ollama", folder+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(filepath.Join(dir, "installed")); err == nil {
		return dir
	}
	writeFile(t, filepath.Join(dir, "package.json"), packages)
	install := exec.Command("npm", append([]string{"install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"}, options...)...)
	install.Dir = dir
	if output, err := install.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("needs packages from npm, which cannot be installed: %v\n%s", err, output)
		}
		t.Fatalf("npm install: %v\n%s", err, output)
	}
	writeFile(t, filepath.Join(dir, "installed"), nil)
	return dir
}

func TestSDKsOfTheNPMWorld(t *testing.T) {
	packages := nodeClients(t)
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

// runNode runs a script of integration/clients against the gateway.
func (g *gateway) runNode(packages, script string, expect map[string]string) {
	g.t.Helper()
	writeCert(g.t, g.file("client.crt"), g.client.Certificate[0])
	writeKey(g.t, g.file("client.key"), g.client.PrivateKey)
	expected, err := json.Marshal(expect)
	if err != nil {
		g.t.Fatal(err)
	}
	// below the packages, where Node looks for what it imports
	dir, err := os.MkdirTemp(packages, "run")
	if err != nil {
		g.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"gateway.mjs", script} {
		writeFile(g.t, filepath.Join(dir, name), []byte(readFile(g.t, "clients/"+name)))
	}
	run := exec.CommandContext(g.t.Context(), "node", filepath.Join(dir, script))
	run.Env = append(os.Environ(), "BASE_URL="+g.url("/v1"), "TOKEN="+tokenFor(g.t, "sdks"), "EXPECT="+string(expected),
		"CA="+g.file("internal-ca.crt"), "CERT="+g.file("client.crt"), "KEY="+g.file("client.key"))
	output, err := run.CombinedOutput()
	g.t.Logf("%s", output)
	if err != nil {
		g.t.Errorf("node: %v", err)
	}
}
