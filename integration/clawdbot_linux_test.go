package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clawdbot is Clawdbot with the recipe of clients.md, and what only a test needs.
func clawdbot(t *testing.T, s *sidecar) (a *agent, port string) {
	t.Helper()
	clients := needBigClients(t)
	a, port = newAgent(t, clients.node, clients.clawdbot), freePort(t)
	a.answer = lastText
	writeFile(t, a.file("clawdbot.json"), []byte(strings.Replace(s.recipe("clawdbot.json", "agent"), "agents: { defaults: {",
		`gateway: { mode: "local", port: `+port+`, auth: { mode: "token", token: "of-this-test" } },
  agents: { defaults: { skipBootstrap: true, workspace: "`+a.file("work")+`",`, 1)))
	// what it compiles at its first start, in half a minute, serves the next as well
	compiled := filepath.Join(filepath.Dir(clients.clawdbot), "tmp")
	if err := os.MkdirAll(compiled, 0o700); err != nil {
		t.Fatal(err)
	}
	a.environ = append(a.environ, "TMPDIR="+compiled, "CLAWDBOT_STATE_DIR="+a.dir, "CLAWDBOT_CONFIG_PATH="+a.file("clawdbot.json"),
		"CLAWDBOT_SKIP_CHANNELS=1", "CLAWDBOT_SKIP_CRON=1", "CLAWDBOT_SKIP_BROWSER_CONTROL_SERVER=1",
		"CLAWDBOT_SKIP_CANVAS_HOST=1", "CLAWDBOT_SKIP_GMAIL_WATCHER=1", "CLAWDBOT_DISABLE_BONJOUR=1")
	return a, port
}

// clawdbotTurns are turns of a daemon, each in a session of its own.
func clawdbotTurns(a *agent) func(message string) func() (said, printed string) {
	session := 0
	return func(message string) func() (said, printed string) {
		return func() (said, printed string) {
			session++
			return a.run("agent", "--session-id", fmt.Sprint("session-", session), "--json", "--message", message)
		}
	}
}

// With nothing but a base URL, as a daemon that is idle for longer than a token lives.
func TestClawdbotThroughItsSidecar(t *testing.T) {
	needBigClients(t)
	t.Parallel()
	n := startNetwork(t, upstreamOf(realOllama(t)))
	g, s := startShortLived(t, n.address())
	a, port := clawdbot(t, s)
	a.serve(port, "gateway", "run")
	turns := clawdbotTurns(a)
	turn := turns("Make the file.")

	a.mustWork(turn)
	checkTurn(t, g.records(2), "clawdbot")
	time.Sleep(idle) // in which the token dies: how long it lives is what is tested
	a.mustWork(turn)
	checkTurn(t, g.records(4)[2:], "clawdbot")

	// more than the model's context
	long := a.mustFail(g, turns(strings.Repeat("long ", 8000)))
	for _, r := range long {
		checkRecord(t, r, record{"http.response.status_code": 400, "event.reason": "context_length_exceeded"})
	}
	t.Logf("with a conversation too long it sent %d requests", len(long))

	a.burst(g, turn)
	a.outage(g, n, turn)
	g.mustNotBeBlocked(t)
}
