package integration

import (
	"strings"
	"testing"
)

// ipThrottle runs `caddy ip-throttle` against the gateway as an operator does.
func (g *gateway) ipThrottle(args ...string) (string, error) {
	args = append(append([]string{"ip-throttle"}, args...), "--config", g.configFile(), "--adapter", "caddyfile")
	output, err := gatewayCommand(g.t, g.dir, args...).CombinedOutput()
	return string(output), err
}

func (g *gateway) mustIPThrottle(args ...string) string {
	g.t.Helper()
	output, err := g.ipThrottle(args...)
	if err != nil {
		g.t.Fatalf("ip-throttle %v: %v\n%s", args, err, output)
	}
	return output
}

func TestBlocksByCommandOutliveReloadAndRestart(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	client := g.from("127.0.0.2")
	asks := func() answer { return g.mustPost(client, tokenFor(t, "bot"), chatBody("hello", false)) }

	if got := g.mustIPThrottle("list"); !strings.Contains(got, "nobody is blocked") {
		t.Errorf("listed: %s", got)
	}
	if a := asks(); a.status != 200 || a.header.Get("X-RateLimit-Limit-Requests") != "10" || a.header.Get("X-RateLimit-Remaining-Requests") != "9" {
		t.Fatalf("got %d %v", a.status, a.header)
	}
	if got := g.mustIPThrottle("block", "127.0.0.2", "1h"); !strings.Contains(got, "127.0.0.2") || !strings.Contains(got, "by_hand") {
		t.Errorf("blocked: %s", got)
	}
	a := asks()
	if a.status != 403 || a.errorCode() != "client_blocked" || len(a.header.Get("Retry-After")) != 4 {
		t.Fatalf("the blocked client gets %d %s", a.status, a.body)
	}
	checkRecord(t, g.recordOf(a), record{"event.reason": "blocked", "http.response.status_code": 403, "source.ip": "127.0.0.2"})

	if err := g.reload(g.caddyfile); err != nil {
		t.Fatal(err)
	}
	if a := asks(); a.status != 403 {
		t.Errorf("after a reload the blocked client gets %d", a.status)
	}
	g.stop()
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	if a := asks(); a.status != 403 {
		t.Errorf("after a restart the blocked client gets %d", a.status)
	}
	if got := g.mustIPThrottle("list", "--json"); !strings.Contains(got, `"client":"127.0.0.2"`) {
		t.Errorf("listed: %s", got)
	}
	g.mustIPThrottle("unblock", "127.0.0.2")
	if a := asks(); a.status != 200 {
		t.Errorf("after its block was lifted the client gets %d", a.status)
	}
	for wrong, says := range map[string]string{
		"unblock 127.0.0.2":       "not blocked",
		"block nobody 1h":         "give an address",
		"block 127.0.0.2 -1h":     "unknown shorthand flag",
		"block 127.0.0.2":         "accepts 2 arg",
		"list --zone elsewhere x": "unknown command",
	} {
		if output, err := g.ipThrottle(strings.Fields(wrong)...); err == nil || !strings.Contains(output, says) {
			t.Errorf("%s: %v\n%s\nwant it refused: %s", wrong, err, output, says)
		}
	}
}
