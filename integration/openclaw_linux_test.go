package integration

import (
	"strings"
	"testing"
	"time"
)

// openClaw is OpenClaw with a recipe of clients.md, and what only a test needs: a port,
// a folder, and a gateway that is on loopback.
func openClaw(t *testing.T, config string, changes ...string) (a *agent, port string) {
	t.Helper()
	clients := needBigClients(t)
	a, port = newAgent(t, clients.node, clients.openclaw), freePort(t)
	a.answer = lastText
	changes = append(changes,
		"request: { tls", "request: { allowPrivateNetwork: true, tls",
		"agents: { defaults: {", `gateway: { mode: "local", port: `+port+`, auth: { mode: "token", token: "of-this-test" } },
  agents: { defaults: { skipBootstrap: true, workspace: "`+a.file("work")+`",`)
	writeFile(t, a.file("openclaw.json"), []byte(strings.NewReplacer(changes...).Replace(config)))
	a.environ = append(a.environ, "OPENCLAW_STATE_DIR="+a.dir, "OPENCLAW_CONFIG_PATH="+a.file("openclaw.json"),
		"OPENCLAW_NO_AUTO_UPDATE=1", "OPENCLAW_DISABLE_BONJOUR=1", "OPENCLAW_SKIP_CHANNELS=1")
	return a, port
}

// exec is a turn in a process of its own, which asks its secret provider anew.
func openClawExec(a *agent) func() (said, printed string) {
	return func() (said, printed string) {
		return a.run("agent", "exec", "--config", a.file("openclaw.json"), "--cwd", a.file("work"), "--timeout", "200", "--json", "Make the file.")
	}
}

// With a client certificate and tokens of its own, from `caddy jwt issue`.
func TestOpenClawWithItsOwnCertificate(t *testing.T) {
	needBigClients(t)
	t.Parallel()
	n := startNetwork(t, upstreamOf(realOllama(t)))
	g := startGateway(t, n.address())
	a, _ := openClaw(t, g.recipe("openclaw.json", "agent"))
	turn := openClawExec(a)

	a.mustWork(turn)
	checkTurn(t, g.records(2), "openclaw")

	// a token that is dead when it is used
	late, _ := openClaw(t, g.recipe("openclaw.json", "agent"), `"--sub"`, `"--ttl", "1s", "--sub"`)
	refused := late.mustFail(g, openClawExec(late))
	for _, r := range refused {
		checkRecord(t, r, record{"http.response.status_code": 403, "event.reason": "bad_token:expired"})
	}
	t.Logf("with an expired token it sent %d requests", len(refused))

	a.burst(g, turn)
	a.outage(g, n, turn)
	g.mustNotBeBlocked(t)
}

// With nothing but a base URL, as a daemon that is idle for longer than a token lives.
func TestOpenClawThroughItsSidecar(t *testing.T) {
	needBigClients(t)
	t.Parallel()
	g, s := startShortLived(t, upstreamOf(realOllama(t)))
	a, port := openClaw(t, s.recipe("openclaw-sidecar.json", "agent"))
	a.serve(port, "gateway", "run")
	turn := func() (said, printed string) {
		return a.run("agent", "--session-key", "agent:main:"+t.Name()+time.Now().Format("150405"), "--json", "--message", "Make the file.")
	}
	a.mustWork(turn)
	checkTurn(t, g.records(2), "clawdbot")
	time.Sleep(idle) // in which the token dies: how long it lives is what is tested
	a.mustWork(turn)
	checkTurn(t, g.records(4)[2:], "clawdbot")
	g.mustNotBeBlocked(t)
}
