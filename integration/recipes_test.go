package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

var recipeBlock = regexp.MustCompile("(?ms)^```\\w+ (\\S+)\n(.*?)^```$")

// recipe is a block of caddyfile-examples/clients.md, by the file that it is for.
func recipe(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../caddyfile-examples/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range recipeBlock.FindAllStringSubmatch(string(data), -1) {
		if block[1] == name {
			return block[2]
		}
	}
	t.Fatalf("clients.md has no %s", name)
	return ""
}

// recipe is a recipe for this gateway and a model, and it finds what it names. All but
// host name, port, paths and model is as it stands there.
func (g *gateway) recipe(name, model string) string {
	g.t.Helper()
	writeCert(g.t, g.file("client.crt"), g.client.Certificate[0])
	writeKey(g.t, g.file("client.key"), g.client.PrivateKey)
	return strings.NewReplacer(
		"/etc/caddy-ollama", g.dir,
		"/usr/bin/caddy", binary(g.t),
		host+":18789", host+":"+g.port,
		"qwen3:32b", model,
	).Replace(recipe(g.t, name))
}

// recipe is a recipe for this sidecar and a model.
func (s *sidecar) recipe(name, model string) string {
	s.t.Helper()
	return strings.NewReplacer("18788", s.port, "qwen3:32b", model).Replace(recipe(s.t, name))
}

// pathWithCaddy is a PATH that begins with a folder in which the gateway's binary is
// called caddy.
func pathWithCaddy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(binary(t), filepath.Join(dir, "caddy")); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

// What clients.md calls tested is what is installed here.
func TestRecipesNameTheVersionsThatAreTested(t *testing.T) {
	text := readFile(t, "../caddyfile-examples/clients.md")
	for row, file := range map[string]string{
		"[OpenClaw](#openclaw) | %s |":               "clients/openclaw/package.json openclaw",
		"[Clawdbot](#clawdbot) | %s |":               "clients/clawdbot/package.json clawdbot",
		"[opencode](#opencode) | %s |":               "clients/opencode/package.json opencode-linux-x64",
		"JavaScript](#openai-for-javascript) | %s |": "clients/sdks/package.json openai",
		"[AI SDK](#ai-sdk) | %s with":                "clients/sdks/package.json ai",
		"`@ai-sdk/openai-compatible` %s |":           "clients/sdks/package.json @ai-sdk/openai-compatible",
		"`@langchain/openai` %s |":                   "clients/sdks/package.json @langchain/openai",
		"[openai for Go](#openai-for-go) | %s |":     "../go.mod github.com/openai/openai-go/v3",
	} {
		path, name, _ := strings.Cut(file, " ")
		version := regexp.MustCompile(`[\s"]` + regexp.QuoteMeta(name) + `"?:? "?v?([0-9.]+(?:-[0-9]+)?)`).FindStringSubmatch(readFile(t, path))
		if version == nil {
			t.Errorf("%s names no version of %s", path, name)
		} else if want := fmt.Sprintf(row, version[1]); !strings.Contains(text, want) {
			t.Errorf("clients.md does not say %q", want)
		}
	}
}

func TestRecipesOfTheJavaScriptSDKs(t *testing.T) {
	packages := npmPackages(t, "clients/sdks")
	g := startGateway(t, upstreamOf(realOllama(t)))
	// below the packages, where Node looks for what it imports
	dir, err := os.MkdirTemp(packages, "run")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for i, name := range []string{"gateway.mjs", "openai.mjs", "ai.mjs", "langchain.mjs"} {
		writeFile(t, filepath.Join(dir, name), []byte(g.recipe(name, "hello")))
		if i == 0 {
			continue // the others import it
		}
		t.Run(name, func(t *testing.T) {
			run := exec.CommandContext(t.Context(), "node", filepath.Join(dir, name))
			run.Env = append(os.Environ(), pathWithCaddy(t), nodeOptions(t))
			output, err := run.CombinedOutput()
			if err != nil || string(output) != scriptedmodel.HelloText {
				t.Errorf("it prints %q (%v)", output, err)
			}
		})
	}
}

func TestRecipeOfOpenAIForGo(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	main := filepath.Join(t.TempDir(), "main.go")
	// a Go program cannot be told where a name is
	writeFile(t, main, []byte(strings.Replace(g.recipe("main.go", "hello"), host, "localhost", 1)))
	if output, err := exec.CommandContext(t.Context(), "gofmt", "-l", main).CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("it is not formatted: %s (%v)", output, err)
	}
	run := exec.CommandContext(t.Context(), "go", "run", main)
	run.Env = append(os.Environ(), pathWithCaddy(t))
	output, err := run.CombinedOutput()
	if err != nil || string(output) != "Hello world" {
		t.Errorf("it prints %q (%v)", output, err)
	}
}

// nodeOptions make Node find the gateway by its name, which is in no DNS.
func nodeOptions(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs("clients/loopback.mjs")
	if err != nil {
		t.Fatal(err)
	}
	return "NODE_OPTIONS=--import=" + file
}
