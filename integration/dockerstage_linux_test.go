package integration

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// imageUser is who the image runs as.
const imageUser = 65532

// No image can be built here; so the commands of the Dockerfile's build stage are run as
// they stand, for another folder than /out, and what they make is run as the image's root,
// with nothing else in sight: its entry point, its user, its environment.
func TestTheImageRunsOnWhatTheDockerfileBuilds(t *testing.T) {
	switch {
	case os.Getenv(askForBigClients) == "":
		t.Skip("it builds Caddy once more, which takes a minute: " + askForBigClients + "=1 asks for it")
	case os.Geteuid() != 0:
		t.Skip("needs root, to give files to the image's user and to change the root folder")
	}
	root, err := os.MkdirTemp(workDir, "i")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	source, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	var environment, command []string
	final := false
	for _, i := range dockerInstructions(t) {
		name, rest := i[0], i[1]
		switch {
		case name == "FROM":
			final, environment = rest == "scratch", nil
		case name == "ENV":
			environment = append(environment, strings.Fields(rest)...)
		case name == "RUN":
			if final {
				t.Fatal("there is no shell in the image")
			}
			run := exec.Command("sh", "-e", "-c", strings.ReplaceAll(rest, "/out", root))
			run.Dir, run.Env = source, append(os.Environ(), environment...)
			if output, err := run.CombinedOutput(); err != nil {
				t.Fatalf("RUN %s: %v\n%s", rest, err, output)
			}
		case name == "ENTRYPOINT" || name == "CMD":
			var words []string
			if err := json.Unmarshal([]byte(rest), &words); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			command = append(command, words...)
		}
	}
	checkStatic(t, root+command[0], source)

	g := prepareGateway(t, scripted(t).Address())
	// as `docker run` mounts it: the image's user reads it, and cannot write
	g.mustRun("jwt", "keygen", "--type", "ed25519", "--out", g.file("audit.key"))
	g.writeConfig(strings.NewReplacer(g.file("admin.sock"), "/run/caddy-ollama/admin.sock", g.file("audit.log"), "/var/log/caddy-ollama/audit.log",
		g.dir, "/etc/caddy-ollama").Replace(g.caddyfile))
	if err := os.Rename(g.configFile(), g.file("gateway.Caddyfile")); err != nil {
		t.Fatal(err)
	}
	mounted := root + "/etc/caddy-ollama"
	if output, err := exec.Command("cp", "-r", g.dir, mounted).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	files, err := filepath.Glob(mounted + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Chown(file, imageUser, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(mounted, 0o555); err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = "/", environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: imageUser, Gid: imageUser}}
	g.process = startCommand(t, cmd)
	g.awaitListening(t, g.address())
	if a := g.mustPost(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", false)); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if log := readFile(t, root+"/var/log/caddy-ollama/audit.log"); !strings.Contains(log, `"ok"`) {
		t.Errorf("the request is not recorded: %s", log)
	}
	if output := g.output.String(); strings.Contains(output, "permission denied") || strings.Contains(output, "read-only") {
		t.Errorf("it lacks a place to write to: %s", output)
	}
	g.stop() // by SIGTERM, the Dockerfile's STOPSIGNAL
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ends with %d", code)
	}
}

// checkStatic checks that a binary needs no library and tells of no folder of the build.
func checkStatic(t *testing.T, name, source string) {
	t.Helper()
	binary, err := elf.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, program := range binary.Progs {
		if program.Type == elf.PT_INTERP {
			t.Error("the binary is not static")
		}
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte(source+"/")) {
		t.Error("the binary has the path of its source in it")
	}
}
