package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// adminGet reads from the gateway's admin API.
func (g *gateway) adminGet(path string) string {
	g.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", g.file("admin.sock"))
	}}
	response, err := (&http.Client{Transport: transport}).Get("http://admin" + path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		g.t.Fatalf("GET %s: %d %s %v", path, response.StatusCode, body, err)
	}
	return string(body)
}

// grep is the lines that have a word.
func grep(text, word string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

// within1s checks that a gateway soon answers a client so, and tells how soon.
func (g *gateway) within1s(what, source string, status int) {
	g.t.Helper()
	began := time.Now()
	for {
		a := g.mustPost(g.from(source), tokenFor(g.t, "bot"), chatBody("hello", false))
		took := time.Since(began)
		if a.status == status && (status != 403 || a.errorCode() == "client_blocked") {
			g.t.Logf("%s: %d after %v", what, status, took)
			return
		}
		if took > time.Second {
			g.t.Errorf("%s: after %v it answers %d %s, want %d", what, took, a.status, a.body, status)
			return
		}
	}
}

func TestSeveralGatewaysKnowEachOthersBlocks(t *testing.T) {
	t.Parallel()
	const penal, byHand = "127.0.0.2", "127.0.0.3"
	s := startSeveral(t, scripted(t), 5*time.Second, "rate 1000/s", "burst 1000")
	listed := func(g *gateway, want bool) {
		t.Helper()
		if got := strings.Contains(g.mustIPThrottle("list", "--json"), byHand); got != want {
			t.Errorf("listed: %v, want %v", got, want)
		}
		if got := strings.Contains(g.adminGet("/ip_throttle/blocks"), byHand); got != want {
			t.Errorf("listed by the admin API: %v, want %v", got, want)
		}
	}
	// count: each must soon know by itself, for when Redis is gone
	count := func(n int) {
		t.Helper()
		began := time.Now()
		for i, g := range s.all {
			await(t, fmt.Sprintf("gateway %d counts the blocks", i), func() error {
				if metrics := g.adminGet("/metrics"); !strings.Contains(metrics, fmt.Sprintf(`caddy_ip_throttle_blocked_clients{zone="default"} %d`, n)) {
					return fmt.Errorf("want %d: %s", n, grep(metrics, "caddy_ip_throttle"))
				}
				return nil
			})
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("all know of %d blocks after %v, want within a second", n, took)
		}
	}

	for range 3 {
		if a := s.all[0].mustPost(s.all[0].from(penal), "no token", chatBody("hello", false)); a.status != 403 || a.errorCode() == "client_blocked" {
			t.Fatalf("a bad token gets %d %s", a.status, a.body)
		}
	}
	for i, g := range s.all {
		g.within1s(fmt.Sprintf("blocked for errors on gateway 0, gateway %d", i), penal, 403)
	}
	s.all[1].mustIPThrottle("block", byHand, "1h")
	for i, g := range s.all {
		g.within1s(fmt.Sprintf("blocked by hand on gateway 1, gateway %d", i), byHand, 403)
		listed(g, true)
	}
	count(2)
	s.all[2].mustIPThrottle("unblock", byHand)
	for i, g := range s.all {
		g.within1s(fmt.Sprintf("let in again on gateway 2, gateway %d", i), byHand, 200)
		listed(g, false)
	}
	count(1)
	s.redis.Kill()
	for i, g := range s.all {
		g.within1s(fmt.Sprintf("blocked for errors, and Redis is gone, gateway %d", i), penal, 403)
		g.within1s(fmt.Sprintf("let in, and Redis is gone, gateway %d", i), byHand, 200)
		if metrics := g.adminGet("/metrics"); !strings.Contains(metrics, `caddy_ip_throttle_store_up{zone="default"} 0`) ||
			!strings.Contains(metrics, `caddy_ip_throttle_store_outages_total{zone="default"} 1`) {
			t.Errorf("gateway %d does not tell that Redis is gone: %s", i, metrics)
		}
	}
	s.redis.Restart()
	for i, g := range s.all {
		await(t, "Redis is back", func() error {
			if metrics := g.adminGet("/metrics"); !strings.Contains(metrics, `caddy_ip_throttle_store_up{zone="default"} 1`) {
				return fmt.Errorf("%s", metrics)
			}
			return nil
		})
		g.within1s(fmt.Sprintf("blocked for errors, and Redis is back with nothing, gateway %d", i), penal, 403)
	}
}

// endless is a model that says one word and then nothing more until its client leaves.
func endless() ollamatest.Model {
	return ollamatest.Model{Name: "hello", Answer: func(ollama.ChatRequest) ollamatest.Answer {
		return ollamatest.Answer{Content: []string{"well", "…"}, Fault: ollamatest.Stall, FaultAt: 1}
	}}
}

// fills begins streams until there are n, and returns when one is refused for want of a
// slot, or the time is up.
func (g *gateway) fills(client *http.Client, n int, until time.Time) (begun int) {
	g.t.Helper()
	for begun < n {
		request, err := g.request(g.t.Context(), tokenFor(g.t, "bot"), chatBody("hello", true))
		if err != nil {
			g.t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { response.Body.Close() })
		switch {
		case response.StatusCode == http.StatusOK:
			begun++
		case response.StatusCode != http.StatusTooManyRequests:
			g.t.Fatalf("a stream gets %d", response.StatusCode)
		case !time.Now().Before(until):
			return begun
		default:
			time.Sleep(50 * time.Millisecond) // the slots of a gateway that was killed come free in their own time
		}
	}
	return begun
}

// The leases are those of users.
func TestSeveralGatewaysGetTheSlotsOfAKilledOne(t *testing.T) {
	t.Parallel()
	upstream := ollamatest.NewServer(endless())
	t.Cleanup(upstream.Close)
	s := startSeveral(t, upstream, 5*time.Second, "concurrency 60", "per_client 60")
	dying, living := s.all[0], s.all[1]
	client := living.from("127.0.0.3")
	if n := dying.fills(dying.from("127.0.0.2"), 50, time.Now()); n != 50 {
		t.Fatalf("%d streams have begun, want 50", n)
	}
	if n := living.fills(client, 11, time.Now()); n != 10 {
		t.Fatalf("%d streams have begun beside 50, want 10", n)
	}
	_ = dying.cmd.Process.Kill() // SIGKILL
	killed := time.Now()
	n := living.fills(client, 50, killed.Add(30*time.Second))
	t.Logf("%d slots are free %v after the gateway was killed", n, time.Since(killed))
	if n != 50 {
		t.Errorf("%d slots are free after 30 s, want 50", n)
	}
	if n := s.all[2].fills(s.all[2].from("127.0.0.4"), 1, time.Now()); n != 0 {
		t.Error("the slots of the living have come free as well")
	}
}
