package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// agent is a program that works with tools by itself, with a home of its own.
type agent struct {
	t       *testing.T
	dir     string
	program []string
	environ []string
	// answer finds in what the program prints what it says to its user.
	answer func(output []byte) string
}

// newAgent has a folder for an agent's home, and one in it where it works.
func newAgent(t *testing.T, program ...string) *agent {
	t.Helper()
	dir, err := os.MkdirTemp(workDir, "a")
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{t: t, dir: dir, program: program, answer: func(output []byte) string { return string(output) }}
	for _, name := range []string{"work", "tmp"} {
		if err := os.Mkdir(a.file(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// NO_PROXY and the rest: whatever is no Node program must not leave this host either
	a.environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + a.file("tmp"), nodeOptions(t),
		"HTTP_PROXY=http://127.0.0.1:9", "HTTPS_PROXY=http://127.0.0.1:9", "NO_PROXY=127.0.0.1,localhost," + host}
	return a
}

func (a *agent) file(name string) string { return filepath.Join(a.dir, name) }

// command is the program with arguments. It and what it starts end with the context.
func (a *agent) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, a.program[0], append(a.program[1:len(a.program):len(a.program)], args...)...)
	cmd.Dir, cmd.Env = a.file("work"), a.environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs the program to its end, and returns what it says, and all that it prints.
func (a *agent) run(args ...string) (said string, printed string) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 4*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := a.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	err := cmd.Run()
	said = a.answer(stdout.Bytes())
	a.t.Logf("%v: after %.0fs it says %q (%v)", args[:2], time.Since(begun).Seconds(), said, err)
	return said, fmt.Sprintf("%s\n%s\n%v", stdout.Bytes(), stderr.Bytes(), err)
}

// serve runs the program as a daemon until the test ends, and returns when it answers.
func (a *agent) serve(port string, args ...string) {
	a.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := a.command(ctx, args...)
	var output lockedBuffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		cancel()
		a.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	a.t.Cleanup(func() {
		cancel()
		<-ended
		if a.t.Failed() {
			a.t.Logf("the daemon: %s", output.String())
		}
	})
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(4 * time.Minute)
	for {
		// not only a connection: at first OpenClaw listens for a moment to try its port
		resp, err := client.Get("http://127.0.0.1:" + port)
		if err == nil {
			resp.Body.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			a.t.Fatalf("the daemon ended: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("the daemon does not listen: %v", err)
		}
	}
}

// mustWork takes a turn in which the model calls a tool, which makes a file, and then
// answers.
func (a *agent) mustWork(turn func() (said, printed string)) {
	a.t.Helper()
	file := a.file("work/" + scriptedmodel.AgentFile)
	if err := os.RemoveAll(file); err != nil {
		a.t.Fatal(err)
	}
	said, printed := turn()
	if said != scriptedmodel.AgentAnswer {
		a.t.Fatalf("it says %q:\n%s", said, printed)
	}
	made, err := os.ReadFile(file)
	if err != nil || string(made) != scriptedmodel.AgentFileText {
		a.t.Errorf("its tool made %q (%v):\n%s", made, err, printed)
	}
}

// mustFail takes a turn that cannot work, and tells how many requests it sent.
func (a *agent) mustFail(g *gateway, turn func() (said, printed string)) []record {
	a.t.Helper()
	before := len(g.records(0))
	if said, printed := turn(); said == scriptedmodel.AgentAnswer {
		a.t.Errorf("it says %q:\n%s", said, printed)
	}
	return g.records(before + 1)[before:]
}

// checkTurn checks the records of one turn: two streams, the first with a tool call,
// and their tokens counted, although OpenClaw asks no network host for them.
func checkTurn(t *testing.T, records []record, user string) {
	t.Helper()
	var reasons []string
	for _, r := range records {
		if r["event.reason"] != "ok" || r["gen_ai.request.model"] != "agent" {
			t.Errorf("a turn has the record %v", r)
			continue
		}
		checkRecord(t, r, record{
			"http.response.status_code": 200, "user.id": user, "tls.client.subject": "CN=clawdbot", "gen_ai.request.stream": true,
		})
		if tokens, _ := r["gen_ai.usage.input_tokens"].(float64); tokens == 0 || r["labels.usage_estimated"] != nil {
			t.Errorf("its tokens are not counted: %v", r)
		}
		reasons = append(reasons, fmt.Sprint(r["gen_ai.response.finish_reasons"]))
	}
	if got := strings.Join(reasons, " "); !strings.Contains(got, "[tool_calls] [stop]") {
		t.Errorf("a turn finishes for %s", got)
	}
}

// outage takes the agent through a time in which Ollama is down: it fails, however often
// it asks, and the next turn works.
func (a *agent) outage(g *gateway, n *network, turn func() (said, printed string)) {
	a.t.Helper()
	relent := n.goDown()
	requests := a.mustFail(g, turn)
	relent()
	a.t.Logf("while Ollama was down it sent %d requests", len(requests))
	if len(requests) < 3 {
		a.t.Errorf("it sent %d requests while Ollama was down: this tests no retries", len(requests))
	}
	a.mustWork(turn)
}

// burst takes a turn of the agent while another program on its host sends so much that
// the agent is refused at least once. The turn must work all the same.
func (a *agent) burst(g *gateway, turn func() (said, printed string)) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 3*time.Minute)
	defer cancel()
	flooded := make(chan struct{})
	client := g.from("127.0.0.1")
	go func() {
		defer close(flooded)
		ticker := time.NewTicker(30 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			if req, err := g.request(ctx, shortLived(time.Now()), chatBody("hello", false)); err == nil {
				if resp, err := client.Do(req); err == nil {
					resp.Body.Close()
				}
			}
			if i%10 == 0 && g.refusedAgent() {
				return
			}
			<-ticker.C
		}
	}()
	a.mustWork(turn)
	cancel()
	<-flooded
	if !g.refusedAgent() {
		a.t.Error("the agent was never refused: this tests no burst")
	}
}

// shortLived is a token that startShortLived's gateway takes, too.
func shortLived(now time.Time) string {
	claims := jwt.MapClaims{"sub": "flood", "iat": now.Unix(), "exp": now.Add(20 * time.Second).Unix()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtSecret))
	if err != nil {
		panic(err) // these always marshal
	}
	return token
}

// refusedAgent tells whether a request that is not of Go's client was refused for speed.
func (g *gateway) refusedAgent() bool {
	data, err := os.ReadFile(g.file("audit.log"))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(data) {
		if bytes.Contains(line, []byte(`"rate_limited"`)) && !bytes.Contains(line, []byte("Go-http-client")) {
			return true
		}
	}
	return false
}

// mustNotBeBlocked: after all that, nothing was ever refused for errors.
func (g *gateway) mustNotBeBlocked(t *testing.T) {
	t.Helper()
	if blocked := g.recordsOf("blocked"); len(blocked) > 0 {
		t.Errorf("the host was blocked: %v", blocked)
	}
}

// lastText finds the texts of an agent's answer in the JSON that it prints.
func lastText(output []byte) string {
	var answer struct {
		Final    string
		Payloads []struct{ Text string }
		Result   struct{ Payloads []struct{ Text string } }
	}
	if err := json.Unmarshal(output, &answer); err != nil {
		return ""
	}
	payloads := append(answer.Payloads, answer.Result.Payloads...)
	if len(payloads) == 0 {
		return answer.Final
	}
	return payloads[len(payloads)-1].Text
}

// idle is longer than a token of startShortLived lives.
const idle = 31 * time.Second

// startShortLived is a gateway and a sidecar whose tokens live for as short as they can.
func startShortLived(t *testing.T, upstream string) (*gateway, *sidecar) {
	t.Helper()
	g := startGatewayWith(t, upstream, "max_lifetime 5m", "max_lifetime 30s")
	s := prepareSidecar(t, g.address(), g.ca, g.client)
	s.caddyfile = strings.Replace(s.caddyfile, "ttl 5m", "ttl 30s", 1)
	s.start()
	return g, s
}
