package auditlog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"
)

// auditRun runs a subcommand of `caddy audit`. The code is the one that it ends with.
func auditRun(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := &cobra.Command{Use: "audit", SilenceUsage: true, SilenceErrors: true}
	cmd.AddCommand(verifyCommand(), traceCommand(), statsCommand())
	var out, errs bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(&errs, err)
		code = 1
		// Caddy's own error has it, of a type that has no name here
		if value := reflect.Indirect(reflect.ValueOf(err)); value.Kind() == reflect.Struct && value.FieldByName("ExitCode").IsValid() {
			code = int(value.FieldByName("ExitCode").Int())
		}
	}
	return out.String(), errs.String(), code
}

// gatewayLog is a log as the gateway leaves it after rotation, compression and two
// restarts, in a folder of its own.
type gatewayLog struct {
	folder, path, publicKey string
}

func newGatewayLog(t *testing.T) gatewayLog {
	t.Helper()
	g := gatewayLog{folder: t.TempDir()}
	g.path = filepath.Join(g.folder, "audit.log")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	g.publicKey = writePublicKey(t, public)
	options := logfile.Options{RollSize: 4 << 10, Retention: 200 * 24 * time.Hour, Gzip: true, Refuse: true, SignKey: private}
	for run := range 3 {
		if run == 2 {
			options.RollSize = 1 << 20 // so that there is something in the newest file
		}
		log, err := logfile.Open(logfile.Config{Path: g.path, Options: options, Logger: zap.NewNop})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			line := fmt.Sprintf(`{"@timestamp":"2026-11-24T0%d:00:%02dZ","event":{"outcome":"success","reason":"ok","duration":1000000000},`+
				`"http":{"request":{"id":"r-%d-%d"},"response":{"status_code":200}},"user":{"id":"bot"},`+
				`"gen_ai":{"conversation":{"id":"c-%d"},"request":{"model":"qwen","stream":true},"usage":{"input_tokens":5,"output_tokens":2}},"event.sequence":1}`, run, i, run, i, i%2)
			if _, err := log.Write([]byte(line + "\n")); err != nil {
				t.Fatal(err)
			}
		}
		if run < 2 { // rotation comes after the line that makes it due, perhaps after Close
			waitUntil(t, "a compressed file", func() bool { return len(g.glob("audit-*.gz")) > run })
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func waitUntil(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ready(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

func (g gatewayLog) glob(pattern string) []string {
	names, err := filepath.Glob(filepath.Join(g.folder, pattern))
	if err != nil {
		panic(err)
	}
	return names
}

// all are all files of the folder, as a shell's * names them.
func (g gatewayLog) all() []string { return g.glob("*") }

func writePublicKey(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "head.pem.pub")
	put(t, name, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	return name
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func expectRun(t *testing.T, stdout, stderr string, code, wantCode int, parts ...string) {
	t.Helper()
	if code != wantCode {
		t.Errorf("it ends with %d, want %d", code, wantCode)
	}
	for _, part := range parts {
		if !strings.Contains(stdout+stderr, part) {
			t.Errorf("%q is missing", part)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", stdout, stderr)
	}
}

func TestVerifyOfALogAsTheGatewayLeavesIt(t *testing.T) {
	g := newGatewayLog(t)
	if len(g.glob("audit-*")) < 2 {
		t.Fatalf("there are only %v", g.all())
	}
	stdout, stderr, code := auditRun(t, append([]string{"verify", "--public-key", g.publicKey}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 0, "sound: ", "its signature is right")
	stdout, stderr, code = auditRun(t, append([]string{"verify"}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 0, "sound: ", "its signature is not checked")
	if strings.Contains(stdout, "note") || strings.ContainsAny(stdout+stderr, "\r\x1b") {
		t.Errorf("it has notes or a progress bar:\n%s", stdout)
	}
}

func TestVerifyFindsWhatWasDoneToALog(t *testing.T) {
	first := func(g gatewayLog) string { return g.glob("audit-*")[0] }
	lines := func(t *testing.T, g gatewayLog) []string { return strings.SplitAfter(get(t, g.path), "\n") }
	for _, test := range []struct {
		name   string
		tamper func(t *testing.T, g gatewayLog)
		code   int
		want   []string
	}{
		{"a changed user", func(t *testing.T, g gatewayLog) {
			put(t, g.path, strings.Replace(get(t, g.path), `"bot"`, `"Bot"`, 1))
		}, 1, []string{"TAMPERED", "audit.log:"}},
		{"the end cut off", func(t *testing.T, g gatewayLog) {
			l := lines(t, g)
			put(t, g.path, strings.Join(l[:len(l)-2], ""))
		}, 1, []string{"missing at the end"}},
		{"the oldest file deleted", func(t *testing.T, g gatewayLog) {
			if err := os.Remove(first(g)); err != nil {
				t.Fatal(err)
			}
		}, 1, []string{"but its head tells of line 1"}},
		{"the newest file deleted", func(t *testing.T, g gatewayLog) {
			if err := os.Remove(g.path); err != nil {
				t.Fatal(err)
			}
		}, 1, []string{"missing at the end"}},
		{"the head changed", func(t *testing.T, g gatewayLog) {
			put(t, g.path+".head", strings.Replace(get(t, g.path+".head"), `"time":"2`, `"time":"1`, 1))
		}, 1, []string{"the head's signature is wrong"}},
		{"the head is none", func(t *testing.T, g gatewayLog) { put(t, g.path+".head", "x") }, 1, []string{"audit.log.head: it is not as it was written"}},
		{"the signature taken away", func(t *testing.T, g gatewayLog) {
			var head map[string]any
			if err := json.Unmarshal([]byte(get(t, g.path+".head")), &head); err != nil {
				t.Fatal(err)
			}
			head["signature"], head["key"] = "", ""
			text, err := json.Marshal(head)
			if err != nil {
				t.Fatal(err)
			}
			put(t, g.path+".head", string(text))
		}, 1, []string{"the head is not signed"}},
		{"another key claimed", func(t *testing.T, g gatewayLog) {
			head := get(t, g.path+".head")
			_, after, _ := strings.Cut(head, `"key":"`)
			put(t, g.path+".head", strings.Replace(head, after[:8], "00000000", 1))
		}, 1, []string{"signed with key 00000000", "not with that of", ".pub of that time"}},
		{"the head deleted", func(t *testing.T, g gatewayLog) {
			if err := os.Remove(g.path + ".head"); err != nil {
				t.Fatal(err)
			}
		}, 2, []string{"there is no head whose signature to check"}},
		{"a compressed file damaged", func(t *testing.T, g gatewayLog) {
			text := get(t, first(g))
			put(t, first(g), text[:len(text)/2])
		}, 1, []string{"the compressed file is damaged"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGatewayLog(t)
			test.tamper(t, g)
			stdout, stderr, code := auditRun(t, append([]string{"verify", "--public-key", g.publicKey}, g.all()...)...)
			expectRun(t, stdout, stderr, code, test.code, test.want...)
		})
	}
}

// The gateway that starts again after a change goes on as if nothing had been, but for
// one line.
func TestVerifyTellsWhatTheGatewayHasFound(t *testing.T) {
	g := newGatewayLog(t)
	lines := strings.SplitAfter(get(t, g.path), "\n")
	put(t, g.path, strings.Join(lines[:len(lines)-2], ""))
	log, err := logfile.Open(logfile.Config{Path: g.path, Options: logfile.Options{RollSize: 1 << 20, Retention: time.Hour}, Logger: zap.NewNop})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := auditRun(t, append([]string{"verify"}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 1, "the gateway found the log changed: the log ends with line", "with another key: none")
}

func TestVerifyWithoutTheWholeLog(t *testing.T) {
	g := newGatewayLog(t)
	rotated := g.glob("audit-*")
	stdout, stderr, code := auditRun(t, "verify", rotated[0])
	expectRun(t, stdout, stderr, code, 0, "sound", "audit.log is not among the files: that lines are missing at the end, or the oldest files, cannot be told")
	stdout, stderr, code = auditRun(t, "verify", g.path)
	expectRun(t, stdout, stderr, code, 1, "name all files of the log")
	stdout, stderr, code = auditRun(t, "verify", "--head", g.path+".head", rotated[0])
	expectRun(t, stdout, stderr, code, 1, "missing at the end")

	// elsewhere, without a head
	folder := t.TempDir()
	for _, name := range append(rotated, g.path) {
		put(t, filepath.Join(folder, filepath.Base(name)), get(t, name))
	}
	elsewhere, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code = auditRun(t, append([]string{"verify"}, elsewhere...)...)
	expectRun(t, stdout, stderr, code, 0, "sound", "no head: that lines are missing at the end, or the oldest files, cannot be told")
	stdout, stderr, code = auditRun(t, append([]string{"verify", "--head", g.path + ".head", "--public-key", g.publicKey}, elsewhere...)...)
	expectRun(t, stdout, stderr, code, 0, "sound", "its signature is right")
}

func TestVerifyThatCannotTell(t *testing.T) {
	g := newGatewayLog(t)
	other := newGatewayLog(t)
	missing := filepath.Join(g.folder, "audit-x.log")
	text := filepath.Join(t.TempDir(), "key.pub")
	put(t, text, "ssh-ed25519 AAAA")
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"no file", nil, "no file is named"},
		{"a file that is not there", append(g.all(), missing), "CANNOT BE TOLD"},
		{"only what holds no lines", []string{g.path + ".head"}, "no file with lines"},
		{"two logs", append(g.all(), other.all()...), "more than one log"},
		{"a head that is not there", []string{g.path, "--head", missing}, "reading the head"},
		{"a key that is not there", append(g.all(), "--public-key", missing), "reading the public key"},
		{"a key that is none", append(g.all(), "--public-key", text), "no public key in PEM form"},
		{"an option that there is not", []string{g.path, "--heads"}, "unknown flag"},
		{"no places to name", []string{g.path, "--most", "0"}, "--most"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, code := auditRun(t, append([]string{"verify"}, test.args...)...)
			expectRun(t, stdout, stderr, code, 2, test.want)
		})
	}
}

func TestVerifyAsJSON(t *testing.T) {
	g := newGatewayLog(t)
	run := func(want int) (v struct {
		Verdict  string
		Lines    int
		Last     uint64 `json:"last_sequence"`
		Findings []struct {
			File, Kind string
			Line       int
		}
		Head map[string]any
	}) {
		t.Helper()
		stdout, stderr, code := auditRun(t, append([]string{"verify", "--json", "--public-key", g.publicKey}, g.all()...)...)
		expectRun(t, stdout, stderr, code, want)
		if err := json.Unmarshal([]byte(stdout), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := run(0); v.Verdict != "sound" || v.Findings == nil || len(v.Findings) > 0 || float64(v.Last) != v.Head["sequence"] || v.Head["signature"] != "its signature is right" {
		t.Errorf("%+v", v)
	}
	lines := strings.SplitAfter(get(t, g.path), "\n")
	put(t, g.path, strings.Join(slices.Delete(lines, 1, 2), ""))
	if v := run(1); v.Verdict != "tampered" || len(v.Findings) != 1 || v.Findings[0].File != g.path || v.Findings[0].Line != 2 || v.Findings[0].Kind != "missing" {
		t.Errorf("%+v", v)
	}
}
