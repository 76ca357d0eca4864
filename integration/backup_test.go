package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// housed is a gateway whose files lie in folders as on a host: etc, lib, log and run.
type housed struct {
	*gateway
	base string
}

// settle has the gateway's folders below base, wherever its files are now.
func (h *housed) settle(base string, caddyfile string) {
	h.base, h.dir = base, base+"/etc"
	h.caddyfile = caddyfile
	h.writeConfig(caddyfile)
	if err := os.MkdirAll(base+"/run", 0o700); err != nil {
		h.t.Fatal(err)
	}
	cmd := gatewayCommand(h.t, h.dir, "run", "--config", h.configFile(), "--adapter", "caddyfile")
	cmd.Env = append(cmd.Env, "XDG_DATA_HOME="+base+"/lib", "XDG_CONFIG_HOME="+base+"/lib")
	h.process = startCommand(h.t, cmd)
	h.awaitListening(h.t, h.address())
}

// chat asks as a bot with a conversation that has nothing but its opening.
func (h *housed) chat(source string) answer {
	h.t.Helper()
	return h.mustPost(h.from(source), tokenFor(h.t, "bot"), chatBody("hello", false))
}

// traced are how many requests of a conversation the log has, and whether it is sound.
func (h *housed) traced(conversation string) int {
	h.t.Helper()
	logs, err := filepath.Glob(h.base + "/log/audit*.log*")
	if err != nil {
		h.t.Fatal(err)
	}
	output := h.mustRun(append([]string{"audit", "trace", "--json", "--conversation", conversation}, logs...)...)
	var trace struct{ Requests []json.RawMessage }
	if err := json.Unmarshal([]byte(output[strings.Index(output, "{"):]), &trace); err != nil {
		h.t.Fatalf("%v: %s", err, output)
	}
	return len(trace.Requests)
}

// readmeBlock is the block of commands or of a Caddyfile in the README that has these words.
func readmeBlock(t *testing.T, words string) string {
	t.Helper()
	for _, block := range regexp.MustCompile("(?s)```(?:sh|caddyfile)\n(.*?)```").FindAllStringSubmatch(readFile(t, "../README.md"), -1) {
		if strings.Contains(block[1], words) {
			return block[1]
		}
	}
	t.Fatalf("the README has no block with %q", words)
	return ""
}

// README, "Backup": its commands, while the gateway works; then all is lost, and what they
// have copied is put into place elsewhere.
func TestWhatIsBackedUpGoesOnWhereItWas(t *testing.T) {
	g := prepareGateway(t, scripted(t).Address())
	base := g.dir + "-host"
	if err := os.MkdirAll(base, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(g.dir, base+"/etc"); err != nil {
		t.Fatal(err)
	}
	in := func(base, caddyfile, was string) string {
		return strings.NewReplacer(was+"/admin.sock", base+"/run/admin.sock", was+"/audit.log", base+"/log/audit.log", was, base+"/etc").Replace(caddyfile)
	}
	h := &housed{gateway: g}
	h.settle(base, strings.Replace(in(base, g.caddyfile, g.dir), "retention 180d", "retention 180d\n roll_size 64KiB", 1))

	// a client is blocked, a conversation has begun, a file is full
	for range 3 {
		h.mustPost(h.from("127.0.0.120"), "", chatBody("hello", false))
	}
	conversation := h.chat("127.0.0.110").header.Get("X-Conversation-Id")
	r := h.serveRegulars(h.client, func() string { return tokenFor(t, "regular") })
	await(t, "a rotated file, and a block that is noted", func() error {
		rotated, err := filepath.Glob(base + "/log/audit-*.log.gz")
		if err == nil && len(rotated) == 0 {
			err = fmt.Errorf("nothing is rotated after %d requests", r.answered.Load())
		}
		return err
	})

	backup := base + "-backup"
	commands := strings.NewReplacer(
		"/backup/", backup+"/", "/var/log/caddy-ollama", base+"/log", "/etc/caddy-ollama", base+"/etc", "/var/lib/caddy-ollama", base+"/lib", "\ncaddy ", "\n"+binary(t)+" ",
	).Replace(readmeBlock(t, "/backup/"))
	await(t, "a copy that is whole", func() error {
		_ = os.RemoveAll(backup)
		output, err := exec.Command("sh", "-e", "-c", commands).CombinedOutput()
		if err == nil && !strings.Contains(string(output), "its signature is right") {
			err = fmt.Errorf("the head is not signed")
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	})
	r.await()
	later := base + "-later.head" // that was copied to another host
	r.pause(func() {
		h.stop()
		writeFile(t, later, []byte(readFile(t, base+"/log/audit.log.head")))
		if err := os.RemoveAll(base); err != nil {
			t.Fatal(err)
		}

		fresh := base + "-fresh"
		found, err := filepath.Glob(backup + "/*")
		if err != nil || len(found) != 1 {
			t.Fatalf("the backup has %v, %v", found, err)
		}
		if output, err := exec.Command("cp", "-a", found[0], fresh).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		h.settle(fresh, strings.ReplaceAll(h.caddyfile, base, fresh))
	})
	r.await()

	if a := h.chat("127.0.0.111"); a.header.Get("X-Conversation-Id") != conversation {
		t.Errorf("the conversation %s is called %s now", conversation, a.header.Get("X-Conversation-Id"))
	}
	if a := h.mustPost(h.from("127.0.0.120"), tokenFor(t, "bot"), chatBody("hello", false)); a.status != http.StatusForbidden {
		t.Errorf("who is blocked gets %d", a.status)
	}
	await(t, "both requests of the conversation", func() error {
		if n := h.traced(conversation); n != 2 {
			return fmt.Errorf("the log has %d", n)
		}
		return nil
	})
	r.pause(func() {
		h.stop()
		logs, err := filepath.Glob(h.base + "/log/audit*.log*")
		if err != nil {
			t.Fatal(err)
		}
		verify := append([]string{"audit", "verify", "--public-key", h.file("audit.key.pub")}, logs...)
		if output, exit := h.run(verify...); exit != 0 || !strings.Contains(output, "its signature is right") {
			t.Errorf("verify ends with %d: %s", exit, output)
		}
		// what was recorded after the copy is gone, and can be known to be
		if output, exit := h.run(append(verify, "--head", later)...); exit != 1 || !strings.Contains(output, "is not the one of which the head tells") && !strings.Contains(output, "missing at the end") {
			t.Errorf("by the later head verify ends with %d: %s", exit, output)
		}
		h.settle(h.base, h.caddyfile)
	})
}
