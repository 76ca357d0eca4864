package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const shipped = "../caddyfile-examples/"

// unit is a unit file of systemd: the values of each setting.
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	u := make(unit)
	for line := range strings.Lines(readFile(t, shipped+"systemd/"+name)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '[' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found {
			t.Errorf("%q is no setting", line)
		}
		u[name] = append(u[name], value)
	}
	return u
}

func (u unit) one(t *testing.T, name string) string {
	t.Helper()
	if len(u[name]) != 1 {
		t.Fatalf("%s is set %d times", name, len(u[name]))
	}
	return u[name][0]
}

// The units and the example must speak of the same files, port and times.
func TestTheUnitsSuitTheExample(t *testing.T) {
	example := readFile(t, shipped+"gateway.Caddyfile")
	service, socket := readUnit(t, "caddy-ollama.service"), readUnit(t, "caddy-ollama.socket")
	for what, fits := range map[string]bool{
		"the configuration":  strings.Contains(service.one(t, "ExecStart"), "--config /etc/caddy-ollama/gateway.Caddyfile "),
		"the admin socket":   strings.Contains(example, "admin "+word(service.one(t, "ExecReload"), "--address")+"\n"),
		"the port":           strings.Contains(example, "servers :"+socket.one(t, "ListenStream")+" {"),
		"the runtime folder": strings.Contains(example, "/run/"+service.one(t, "RuntimeDirectory")+"/admin.sock"),
		"the log folder":     strings.Contains(example, "/var/log/"+service.one(t, "LogsDirectory")+"/audit.log"),
		"the state folder":   strings.Contains(service.one(t, "Environment"), "XDG_DATA_HOME=/var/lib/"+service.one(t, "StateDirectory")),
		"the socket":         service.one(t, "Requires") == "caddy-ollama.socket" && strings.Contains(example, "servers fd/3") && strings.Contains(example, "bind fd/3"),
	} {
		if !fits {
			t.Errorf("%s is another", what)
		}
	}
	grace := regexp.MustCompile(`grace_period (\d+)s`).FindStringSubmatch(example)
	stop, _ := strconv.Atoi(service.one(t, "TimeoutStopSec"))
	const heardOut = 5 // by await_requests, before the grace period
	if seconds, _ := strconv.Atoi(grace[1]); stop <= seconds+heardOut {
		t.Errorf("systemd kills after %d s, within the grace period of %d s or just after it", stop, seconds)
	}
	if service.one(t, "User") == "root" || service.one(t, "NoNewPrivileges") != "true" || service.one(t, "CapabilityBoundingSet") != "" {
		t.Error("the gateway has privileges")
	}
}

// word is what comes after a word of a command.
func word(command, after string) string {
	fields := strings.Fields(command)
	if i := slices.Index(fields, after); i >= 0 && i+1 < len(fields) {
		return fields[i+1]
	}
	return "nothing"
}

// systemd's own opinion.
func TestTheServiceIsHardened(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	dir := t.TempDir()
	for _, name := range []string{"caddy-ollama.service", "caddy-ollama.socket"} {
		text := strings.ReplaceAll(readFile(t, shipped+"systemd/"+name), "/usr/local/bin/caddy", "/bin/true")
		writeFile(t, filepath.Join(dir, name), []byte(text))
	}
	service, socket := filepath.Join(dir, "caddy-ollama.service"), filepath.Join(dir, "caddy-ollama.socket")
	if output, err := exec.Command(analyze, "verify", "--man=no", service, socket).CombinedOutput(); err != nil || strings.Contains(string(output), "caddy-ollama") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, output)
	}
	output, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", service).CombinedOutput()
	if err != nil {
		t.Skipf("systemd-analyze security: %v\n%s", err, output)
	}
	level := regexp.MustCompile(`Overall exposure level for caddy-ollama.service: ([0-9.]+)`).FindSubmatch(output)
	if level == nil {
		t.Fatalf("no level in:\n%s", output)
	}
	t.Logf("exposure level %s", level[1])
	if exposure, err := strconv.ParseFloat(string(level[1]), 64); err != nil || exposure > 1.1 {
		t.Errorf("the service's exposure level is %s, it was 1.1:\n%s", level[1], output)
	}
}

// dockerInstructions are those of the Dockerfile: name and rest, of however many lines.
func dockerInstructions(t *testing.T) (instructions [][2]string) {
	t.Helper()
	text := strings.ReplaceAll(readFile(t, shipped+"docker/Dockerfile"), "\\\n", " ")
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			name, rest, _ := strings.Cut(line, " ")
			instructions = append(instructions, [2]string{name, strings.TrimSpace(rest)})
		}
	}
	return instructions
}

// No Docker runs here; so what matters of the Dockerfile is read. What its build stage
// does, TestTheImageRunsOnWhatTheDockerfileBuilds does, too.
func TestTheDockerfile(t *testing.T) {
	instructions := dockerInstructions(t)
	all := func(name string) (values []string) {
		for _, i := range instructions {
			if i[0] == name {
				values = append(values, i[1])
			}
		}
		return values
	}
	gomod := readFile(t, "../go.mod")
	goVersion := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(gomod)[1]
	caddyVersion := regexp.MustCompile(`caddyserver/caddy/v2 (v\S+)`).FindStringSubmatch(gomod)[1]
	if from := all("FROM"); !slices.Equal(from, []string{"golang:" + goVersion + " AS build", "scratch"}) {
		t.Errorf("FROM %q, with go %s in go.mod", from, goVersion)
	}
	build := strings.Join(all("RUN"), "\n")
	if !strings.Contains(build, "xcaddy build "+caddyVersion+" --with github.com/gateway18789/caddy-ollama@v0.0.0=. ") {
		t.Errorf("the build is not that of Caddy %s: %s", caddyVersion, build)
	}
	known := []string{"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
	for _, i := range instructions {
		if !slices.Contains(known, i[0]) {
			t.Errorf("%s is not to be there", i[0])
		}
	}
	if user := all("USER"); len(user) != 1 || !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user[0]) {
		t.Errorf("USER %q, which must be a number that is not root's", user)
	}
	for _, name := range []string{"ENTRYPOINT", "CMD", "VOLUME"} {
		if form := all(name); len(form) != 1 || !strings.HasPrefix(form[0], "[") || !strings.HasSuffix(form[0], "]") {
			t.Errorf("%s %q, which must be one list: no shell is there", name, form)
		}
	}
	if expose := all("EXPOSE"); !slices.Equal(expose, []string{"18789"}) {
		t.Errorf("EXPOSE %q", expose)
	}
	// what it copies first must be there, and keys must not get into a layer
	for _, file := range []string{"go.mod", "go.sum"} {
		if _, err := os.Stat("../" + file); err != nil {
			t.Error(err)
		}
	}
	ignored := strings.Fields(readFile(t, shipped+"docker/Dockerfile.dockerignore"))
	for _, pattern := range []string{".git", "**/*.key", "**/*.pem"} {
		if !slices.Contains(ignored, pattern) {
			t.Errorf("%s is not left out of the image's layers", pattern)
		}
	}
}
