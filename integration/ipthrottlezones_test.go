package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// throttled is a gateway without TLS, tokens or a model: addresses are clients in one
// zone of it, users in another.
type throttled struct {
	*process
	t                   *testing.T
	dir, admin, address string
}

// startThrottled runs one whose admin API is at that address.
func startThrottled(t *testing.T, admin string) *throttled {
	t.Helper()
	dir := t.TempDir()
	g := &throttled{t: t, dir: dir, admin: admin, address: "127.0.0.1:" + freePort(t)}
	writeFile(t, dir+"/Caddyfile", fmt.Appendf(nil, `{
		admin %s
		auto_https off
		storage file_system %s/storage
		metrics
	}
	http://%s {
		route {
			ip_throttle {
				zone        addresses
				rate        1000/s
				burst       100
				penalty     3 1h
				ipv6_prefix 56
			}
			ip_throttle {
				zone    users
				key     {http.request.header.X-User}
				penalty 2 1h
			}
			error /denied 401
			respond served
		}
	}`, admin, dir, g.address))
	g.start()
	return g
}

func (g *throttled) start() {
	g.t.Helper()
	g.process = startProcess(g.t, g.dir, "run", "--config", g.dir+"/Caddyfile", "--adapter", "caddyfile")
	g.awaitListening(g.t, g.address)
}

// as asks as a user, and returns the status.
func (g *throttled) as(user, path string) int {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+g.address+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("X-User", user)
	response, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

func (g *throttled) command(args ...string) (string, error) {
	output, err := gatewayCommand(g.t, g.dir, append([]string{"ip-throttle", "--address", g.admin}, args...)...).CombinedOutput()
	return string(output), err
}

func (g *throttled) mustCommand(args ...string) string {
	g.t.Helper()
	output, err := g.command(args...)
	if err != nil {
		g.t.Fatalf("ip-throttle %q: %v\n%s", args, err, output)
	}
	return output
}

// blocked is what `list --json` lists: zone and client.
func (g *throttled) blocked(args ...string) (blocks []string) {
	g.t.Helper()
	var list []struct {
		Zone, Client string
		SecondsLeft  int `json:"seconds_left"`
	}
	output := g.mustCommand(append([]string{"list", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(output), &list); err != nil {
		g.t.Fatalf("%s: %v", output, err)
	}
	for _, b := range list {
		if b.SecondsLeft < 1 || b.SecondsLeft > 3600 {
			g.t.Errorf("%s is blocked for another %d s", b.Client, b.SecondsLeft)
		}
		blocks = append(blocks, b.Zone+" "+b.Client)
	}
	return blocks
}

func (g *throttled) expectBlocked(args []string, want ...string) {
	g.t.Helper()
	if got := g.blocked(args...); strings.Join(got, "; ") != strings.Join(want, "; ") {
		g.t.Errorf("blocked, by list %q: %q, want %q", args, got, want)
	}
}

// few is the first of some cases where the race detector makes each command take a second.
func few[T any](all []T) []T {
	if raceEnabled {
		return all[:3]
	}
	return all
}

func TestBlocksByCommandOverASocket(t *testing.T) {
	g := startThrottled(t, "unix/"+filepath.Join(workDir, "zones.sock"))
	if output := g.mustCommand("list"); output != "nobody is blocked\n" {
		t.Errorf("listed: %q", output)
	}
	g.mustCommand("block", "--zone", "users", "team/anna", "1h")
	g.expectBlocked(nil, "users team/anna")
	g.mustCommand("unblock", "--zone", "users", "team/anna")
	if output := g.mustCommand("list", "--json"); output != "[]\n" {
		t.Errorf("listed as JSON: %q", output)
	}
}

func TestBlocksByCommandInZones(t *testing.T) {
	g := startThrottled(t, "127.0.0.1:"+freePort(t))
	g.mustCommand("block", "--zone", "addresses", "2001:db8:0:1ff::1", "1h")
	g.mustCommand("block", "--zone", "addresses", "::ffff:198.51.100.7", "1h")
	g.mustCommand("block", "--zone", "users", "anna", "1h")
	g.expectBlocked(nil, "addresses 198.51.100.7", "addresses 2001:db8:0:100::/56", "users anna")
	g.expectBlocked([]string{"--zone", "users"}, "users anna")
	g.expectBlocked([]string{"--zone", "nowhere"})
	if a, b := g.as("anna", "/"), g.as("bert", "/"); a != 403 || b != 200 {
		t.Errorf("anna gets %d, bert %d; want 403 and 200", a, b)
	}
	g.mustCommand("unblock", "--zone", "addresses", "2001:db8:0:100::/56")
	g.mustCommand("unblock", "--zone", "addresses", "198.51.100.7")
	g.mustCommand("unblock", "--zone", "users", "anna")
	if a := g.as("anna", "/"); a != 200 {
		t.Errorf("anna gets %d when her block is lifted", a)
	}
	g.expectBlocked(nil)
}

func TestBlocksByCommandOfUsersWithStrangeNames(t *testing.T) {
	g := startThrottled(t, "127.0.0.1:"+freePort(t))
	names := few([]string{
		"\x1b[2J\x07", "..", "../../load", "team/anna", "a?zone=addresses", "%2e%2e", "--zone", "eve\u202e", "a b", ".",
	})
	var want []string
	for _, name := range names {
		g.mustCommand("block", "--zone", "users", "--", name, "1h")
		want = append(want, "users "+name)
	}
	slices.Sort(want)
	g.expectBlocked(nil, want...)
	for _, c := range g.mustCommand("list") {
		if c < ' ' && c != '\n' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == '\u202e' {
			t.Errorf("%q is written to the terminal", c)
		}
	}
	for _, name := range names {
		g.mustCommand("unblock", "--zone", "users", "--", name)
	}
	g.expectBlocked(nil)
}

func TestWrongUseOfIPThrottle(t *testing.T) {
	g := startThrottled(t, "127.0.0.1:"+freePort(t))
	for _, wrong := range few([]struct{ args, says string }{
		{"block 192.0.2.1 1h", "say which zone: addresses, users"},
		{"unblock --zone users anna", "not blocked"},
		{"block --zone nowhere 192.0.2.1 1h", `no zone \"nowhere\"`},
		{"unblock 192.0.2.1", "say which zone: addresses, users"},
		{"block --zone addresses 2001:db8::/64 1h", "a client is a /56"},
		{"block --zone addresses localhost 1h", "give an address"},
		{"block --zone addresses 192.0.2.1 forever", "give one up to a year"},
		{"block --zone addresses 192.0.2.1 0s", "give one up to a year"},
		{"block --zone addresses 192.0.2.1 -- -1h", "give one up to a year"},
		{"block --zone addresses 192.0.2.1 9000h", "give one up to a year"},
		{"unblock", "accepts 1 arg"},
		{"list everything", "unknown command"},
	}) {
		if output, err := g.command(strings.Fields(wrong.args)...); err == nil || !strings.Contains(output, wrong.says) {
			t.Errorf("%s: %v\n%s\nwant it refused: %s", wrong.args, err, output, wrong.says)
		}
	}
	g.expectBlocked(nil)
}

func TestAKilledGatewayFreesNobody(t *testing.T) {
	g := startThrottled(t, "127.0.0.1:"+freePort(t))
	for range 2 {
		if status := g.as("mallory", "/denied"); status != 401 {
			t.Fatalf("status %d", status)
		}
	}
	if status := g.as("mallory", "/"); status != 403 {
		t.Fatalf("status %d after two errors", status)
	}
	blockedAt := time.Now()
	await(t, "the block is written", func() error {
		files, _ := filepath.Glob(g.dir + "/storage/ip_throttle/users.*.json")
		if len(files) != 1 {
			return fmt.Errorf("kept in %v", files)
		}
		return nil
	})
	if took := time.Since(blockedAt); took > time.Second {
		t.Errorf("it was written %v later, want within a second", took)
	}
	if err := g.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-g.exited
	g.start()
	if status := g.as("mallory", "/"); status != 403 {
		t.Errorf("status %d after the gateway was killed, want the client blocked still", status)
	}
	if status := g.as("anna", "/"); status != 200 {
		t.Errorf("another user gets %d", status)
	}

	before, err := filepath.Glob(g.dir + "/storage/ip_throttle/*")
	if err != nil {
		t.Fatal(err)
	}
	if output, err := gatewayCommand(t, g.dir, "validate", "--config", g.dir+"/Caddyfile", "--adapter", "caddyfile").CombinedOutput(); err != nil {
		t.Errorf("caddy validate: %v\n%s", err, output)
	}
	if after, _ := filepath.Glob(g.dir + "/storage/ip_throttle/*"); len(after) != len(before) {
		t.Errorf("caddy validate has written: %v, before %v", after, before)
	}
}
