package integration

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// oneCommand runs `caddy ollama-gateway` and returns what it printed.
func oneCommand(t *testing.T, dir string, args ...string) (p *process, printed string) {
	t.Helper()
	p = startProcess(t, dir, append([]string{"ollama-gateway", "--state-dir", filepath.Join(dir, "state")}, args...)...)
	await(t, "the curl line", func() error {
		select {
		case <-p.exited:
			t.Fatalf("it ended:\n%s", p.output.String())
		default:
		}
		if printed = p.output.String(); !strings.Contains(printed, "jwt issue") {
			return errors.New("not printed yet")
		}
		return nil
	})
	return p, printed
}

// pasteCurl runs the curl command that was printed, as a user would, and returns
// the answer's text.
func pasteCurl(t *testing.T, printed string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl, which is what the printed line begins with")
	}
	command := regexp.MustCompile(`(?s)curl .*?/v1/chat/completions`).FindString(printed)
	if command == "" {
		t.Fatalf("no curl line in:\n%s", printed)
	}
	output, err := exec.Command("sh", "-c", command+" --silent --show-error").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, command)
	}
	var completion struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(output, &completion); err != nil || len(completion.Choices) != 1 {
		t.Fatalf("answered %s", output)
	}
	return completion.Choices[0].Message.Content
}

func TestOneCommandServesTheDemo(t *testing.T) {
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	// nobody listens where Ollama would be, unless this machine runs one
	p, printed := oneCommand(t, dir, "--listen", "127.0.0.1:"+port)
	if !strings.Contains(printed, "NO OLLAMA ANSWERS") {
		t.Skip("an Ollama runs on this machine at its default port; then there is no demo")
	}
	if got := pasteCurl(t, printed); !strings.Contains(got, "built-in demo model") {
		t.Errorf("the demo says %q", got)
	}

	state := filepath.Join(dir, "state")
	for _, name := range []string{"ca.crt", "ca.key", "server.crt", "server.key", "client.crt", "client.key", "jwt.key", "audit.log"} {
		info, err := os.Stat(filepath.Join(state, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want mode 0600", name, info, err)
		}
	}
	if info, err := os.Stat(state); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("state folder: %v %v, want mode 0700", info, err)
	}

	// a second start keeps what the first has made, so that clients keep working
	before := readFile(t, filepath.Join(state, "ca.crt")) + readFile(t, filepath.Join(state, "client.crt")) + readFile(t, filepath.Join(state, "jwt.key"))
	p.stop()
	_, printed = oneCommand(t, dir, "--listen", "127.0.0.1:"+port)
	if got := pasteCurl(t, printed); !strings.Contains(got, "built-in demo model") {
		t.Errorf("after a second start the demo says %q", got)
	}
	after := readFile(t, filepath.Join(state, "ca.crt")) + readFile(t, filepath.Join(state, "client.crt")) + readFile(t, filepath.Join(state, "jwt.key"))
	if before != after {
		t.Error("the second start has made new credentials")
	}
}

func TestOneCommandServesARealOllama(t *testing.T) {
	server := realOllama(t)
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	_, printed := oneCommand(t, dir, "--listen", "127.0.0.1:"+freePort(t), "--ollama", server.URL, "--model", "hello")
	if strings.Contains(printed, "NO OLLAMA") {
		t.Errorf("it did not find Ollama:\n%s", printed)
	}
	if got := pasteCurl(t, printed); got != scriptedmodel.HelloText {
		t.Errorf("hello says %q", got)
	}
}

func TestPrintConfigPrintsACaddyfileThatIsValid(t *testing.T) {
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	config, err := gatewayCommand(t, dir, "ollama-gateway", "--state-dir", filepath.Join(dir, "state"), "--print-config").Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "Caddyfile")
	writeFile(t, file, config)
	if output, err := gatewayCommand(t, dir, "validate", "--config", file, "--adapter", "caddyfile").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, output, config)
	}
}

func TestJWTIssuePrintsATokenThatPasses(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	output, err := gatewayCommand(t, g.dir, "jwt", "issue", "--secret-file", g.file("jwt.key"), "--sub", "clawdbot", "--ttl", "5m").Output()
	if err != nil {
		t.Fatal(err)
	}
	a := g.mustPost(g.from("127.0.0.2"), strings.TrimSpace(string(output)), chatBody("hello", false))
	if a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	checkRecord(t, g.recordOf(a), record{"user.id": "clawdbot"})
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOneCommandRefusesAPortThatIsTaken(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	output, err := gatewayCommand(t, g.dir, "ollama-gateway", "--state-dir", filepath.Join(g.dir, "state"), "--listen", g.address()).CombinedOutput()
	if err == nil || !strings.Contains(string(output), "--listen") {
		t.Errorf("a second gateway on one port: %v\n%s", err, output)
	}
}

// `openssl rand -base64 48 > jwt.key`, as the README has it, ends in a line break.
func TestOneCommandTakesASecretThatEndsInALineBreak(t *testing.T) {
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "state", "jwt.key"), []byte(jwtSecret+"\n"))
	upstream := scripted(t)
	_, printed := oneCommand(t, dir, "--listen", "127.0.0.1:"+freePort(t), "--ollama", upstream.URL)
	if got := pasteCurl(t, printed); got != "Hello world" {
		t.Errorf("answered %q", got)
	}
}
