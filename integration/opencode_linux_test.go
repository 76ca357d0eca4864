package integration

import (
	"strings"
	"testing"
)

// opencode works through the sidecar alone: it can hold no client certificate.
func TestOpencodeThroughItsSidecar(t *testing.T) {
	clients := needBigClients(t)
	t.Parallel()
	n := startNetwork(t, upstreamOf(realOllama(t)))
	g := startGateway(t, n.address())
	s := startSidecar(t, g.address(), g.ca, g.client)
	a := newAgent(t, clients.opencode)
	a.answer = func(output []byte) string { return strings.TrimSpace(string(output)) }
	writeFile(t, a.file("work/opencode.json"), []byte(s.recipe("opencode.json", "agent")))
	a.environ = append(a.environ, "OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1",
		"OPENCODE_DISABLE_LSP_DOWNLOAD=1", "OPENCODE_DISABLE_DEFAULT_PLUGINS=1")
	turn := func() (said, printed string) { return a.run("run", "Make the file.") }

	a.mustWork(turn)
	a.burst(g, turn)
	a.outage(g, n, turn)
	g.mustNotBeBlocked(t)
}
