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

// nodeClients installs the packages of integration/clients once, in the user's
// cache folder, and returns the folder. Without Node or npm's registry the test is
// skipped, but not in CI.
func nodeClients(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("installs packages from npm; run without -short")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s, which is not here", program)
		}
	}
	packages, err := os.ReadFile("clients/package.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(packages)
	dir := filepath.Join(cache, "caddy-ollama", "clients-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(filepath.Join(dir, "installed")); err == nil {
		return dir
	}
	writeFile(t, filepath.Join(dir, "package.json"), packages)
	install := exec.Command("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
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
	dir := nodeClients(t)
	g := prepareGateway(t, upstreamOf(realOllama(t)))
	// one host that runs all of these at once is no client that anybody would limit
	g.caddyfile = strings.NewReplacer("rate 5/s", "rate 1000/s", "burst 10", "burst 1000", "penalty 3 10m", "").Replace(g.caddyfile)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	writeCert(t, g.file("client.crt"), g.client.Certificate[0])
	writeKey(t, g.file("client.key"), g.client.PrivateKey)
	expect, err := json.Marshal(map[string]string{
		"hello": scriptedmodel.HelloText, "tool": scriptedmodel.ToolAnswer,
		"thinking": scriptedmodel.ThinkerThinking, "thinker": scriptedmodel.ThinkerAnswer,
	})
	if err != nil {
		t.Fatal(err)
	}
	// beside the packages, where Node looks for what it imports
	script := filepath.Join(dir, "sdks-"+filepath.Base(g.dir)+".mjs")
	writeFile(t, script, []byte(readFile(t, "clients/sdks.mjs")))
	defer os.Remove(script)
	run := exec.CommandContext(t.Context(), "node", script)
	run.Env = append(os.Environ(), "BASE_URL="+g.url("/v1"), "TOKEN="+tokenFor(t, "sdks"), "EXPECT="+string(expect),
		"CA="+g.file("internal-ca.crt"), "CERT="+g.file("client.crt"), "KEY="+g.file("client.key"))
	output, err := run.CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Errorf("node: %v", err)
	}
}
