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
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
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

// paste runs a command that was printed, as a user would, and returns what it prints.
func paste(t *testing.T, command string) []byte {
	t.Helper()
	output, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, command, output)
	}
	return output
}

// curlLine is the curl command that was printed.
func curlLine(t *testing.T, printed string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl, which is what the printed line begins with")
	}
	command := regexp.MustCompile(`(?s)curl .*?/v1/chat/completions`).FindString(printed)
	if command == "" {
		t.Fatalf("no curl line in:\n%s", printed)
	}
	return command + " --silent --show-error"
}

// pasteCurl runs the curl command that was printed, and returns the answer's text.
func pasteCurl(t *testing.T, printed string) string {
	t.Helper()
	output := paste(t, curlLine(t, printed))
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

// getBlocked makes the errors that block this machine, with the curl line that was printed
// and a token that is none.
func getBlocked(t *testing.T, printed string) {
	t.Helper()
	right := curlLine(t, printed)
	for range 3 {
		paste(t, regexp.MustCompile(`Bearer [^']*`).ReplaceAllString(right, "Bearer none"))
	}
	if got := string(paste(t, right+" --output /dev/null --write-out '%{http_code}'")); got != "403" {
		t.Fatalf("after three errors the request that was printed gets %s, want 403", got)
	}
}

// A newcomer is soon blocked: a token lives for five minutes, and three requests with one
// that has ended are three errors in a row.
func TestOneCommandPrintsWhatLiftsABlock(t *testing.T) {
	upstream := scripted(t)
	dir, err := os.MkdirTemp(workDir, "one of two words") // which a shell must be given in quotes
	if err != nil {
		t.Fatal(err)
	}
	_, printed := oneCommand(t, dir, "--listen", ":"+freePort(t), "--ollama", upstream.URL)
	getBlocked(t, printed)
	unblock := regexp.MustCompile(`(?m)^ .* ip-throttle unblock .*$`).FindString(printed)
	if unblock == "" {
		t.Fatalf("prints no command that lifts a block:\n%s", printed)
	}
	paste(t, unblock)
	if got := pasteCurl(t, printed); got != "Hello world" {
		t.Errorf("after the block was lifted, answered %q", got)
	}
	if strings.Contains(printed, "open interface") {
		t.Errorf("calls the socket of the admin API an open interface:\n%s", printed)
	}
	socket := filepath.Join(dir, "state", "admin.sock")
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v %v, want mode 0600", socket, info, err)
	}
}

func TestOneCommandStartsAfreshInAFreshStateFolder(t *testing.T) {
	upstream := scripted(t)
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	p, printed := oneCommand(t, dir, "--listen", ":"+freePort(t), "--ollama", upstream.URL)
	getBlocked(t, printed)
	p.stop() // which writes the block down
	_, printed = oneCommand(t, dir, "--listen", ":"+freePort(t), "--ollama", upstream.URL, "--state-dir", filepath.Join(dir, "fresh"))
	if got := pasteCurl(t, printed); got != "Hello world" {
		t.Errorf("with a fresh state folder, answered %q", got)
	}
}

func TestOneCommandRefusesAStateFolderThatIsInUse(t *testing.T) {
	upstream := scripted(t)
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	_, printed := oneCommand(t, dir, "--listen", ":"+freePort(t), "--ollama", upstream.URL)
	second := gatewayCommand(t, dir, "ollama-gateway", "--state-dir", filepath.Join(dir, "state"), "--listen", ":"+freePort(t), "--ollama", upstream.URL)
	output, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "--state-dir") || strings.Contains(string(output), "file of its own") {
		t.Errorf("a second gateway on one state folder: %v\n%s", err, output)
	}
	// the first one still has its admin API
	getBlocked(t, printed)
	paste(t, regexp.MustCompile(`(?m)^ .* ip-throttle unblock .*$`).FindString(printed))
}

func TestOneCommandNamesTheFileOfASecretThatIsTooShort(t *testing.T) {
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "state", "jwt.key")
	writeFile(t, file, []byte("short"))
	output, err := gatewayCommand(t, dir, "ollama-gateway", "--state-dir", filepath.Join(dir, "state"), "--listen", ":"+freePort(t)).CombinedOutput()
	if err == nil || !strings.Contains(string(output), "the secret in "+file) {
		t.Errorf("%v\n%s", err, output)
	}
}

func TestOneCommandServesTheDemoWhateverModelIsNamed(t *testing.T) {
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	_, printed := oneCommand(t, dir, "--listen", ":"+freePort(t), "--model", "nope")
	if !strings.Contains(printed, "NO OLLAMA ANSWERS") {
		t.Skip("an Ollama runs on this machine at its default port; then there is no demo")
	}
	if got := pasteCurl(t, printed); !strings.Contains(got, "built-in demo model") {
		t.Errorf("the demo says %q", got)
	}
}

func TestPrintConfigSaysThatNoOllamaAnswered(t *testing.T) {
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	output, err := gatewayCommand(t, dir, "ollama-gateway", "--state-dir", filepath.Join(dir, "state"), "--print-config",
		"--ollama", "127.0.0.1:"+freePort(t)).Output()
	if config := string(output); err != nil || !strings.Contains(config, "# No Ollama answered at 127.0.0.1:") {
		t.Errorf("%v\n%s", err, config)
	}
	output, err = gatewayCommand(t, dir, "ollama-gateway", "--state-dir", filepath.Join(dir, "state"), "--print-config").Output()
	if config := string(output); err != nil || strings.Contains(config, `"demo"`) {
		t.Errorf("names the demo model, which no Ollama has: %v\n%s", err, config)
	}
}

func TestOneCommandTakesAModelThatCanAnswer(t *testing.T) {
	upstream := ollamatest.NewServer(
		ollamatest.Model{Name: "nomic-embed-text:latest", Capabilities: []string{"embedding"}},
		ollamatest.Says("qwen3:0.6b", "Hello"))
	t.Cleanup(upstream.Close)
	dir, err := os.MkdirTemp(workDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	_, printed := oneCommand(t, dir, "--listen", ":"+freePort(t), "--ollama", upstream.URL)
	if got := pasteCurl(t, printed); got != "Hello" {
		t.Errorf("answered %q", got)
	}
}

func TestOneCommandPrintsNoRequestThatCannotBeAnswered(t *testing.T) {
	empty, other := ollamatest.NewServer(), ollamatest.NewServer(ollamatest.Says("qwen3:0.6b", "Hello"))
	t.Cleanup(empty.Close)
	t.Cleanup(other.Close)
	cases := []struct {
		name string
		args []string
	}{
		{"the Ollama that was named is down", []string{"--ollama", "127.0.0.1:" + freePort(t)}},
		{"Ollama has no model", []string{"--ollama", empty.URL}},
		{"Ollama does not have the model that was named", []string{"--ollama", other.URL, "--model", "nope"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, err := os.MkdirTemp(workDir, "one")
			if err != nil {
				t.Fatal(err)
			}
			_, printed := oneCommand(t, dir, append(c.args, "--listen", ":"+freePort(t))...)
			if strings.Contains(printed, "curl ") {
				t.Errorf("printed:\n%s", printed)
			}
		})
	}
}
