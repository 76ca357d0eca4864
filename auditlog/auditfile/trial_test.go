package auditfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/gateway18789/caddy-ollama/auditlog/ecs"
)

func TestAFormatThatIsNoJSONIsAnErrorAtLoad(t *testing.T) {
	for name, format := range map[string]string{
		"console":                        "console",
		"console in more":                "append {\n wrap console\n gateway one\n }",
		"console, with a field left out": "filter {\n wrap console\n fields {\n user.id delete\n }\n }",
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			g := newGateway(t)
			g.mustLoad(t, path, "")
			g.format = format
			for _, try := range []struct {
				name string
				load func() error
			}{
				{"at a reload", func() error { return g.load(path, "", "") }},
				{"by validation", func() error { return g.validate(t, path) }},
				{"by validation where nothing is there yet", func() error { return g.validate(t, newPath(t)) }},
			} {
				err := try.load()
				if err == nil || !strings.Contains(err.Error(), "use `format ecs` or `format json`") || !strings.Contains(err.Error(), ".log") {
					t.Errorf("%s it is said: %v", try.name, err)
				}
			}
			if status := g.get(t, "/1"); status != 200 {
				t.Errorf("status %d after configurations that were refused", status)
			}
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			if lines := expectRequests(t, path, "/1 200 ok"); len(lines) != 2 {
				t.Errorf("the trial of the format is in the log: %v", lines)
			}
		})
	}
}

func TestAFormatOfJSONIsValid(t *testing.T) {
	for name, format := range map[string]string{
		"json": "json", "ecs": "ecs", "json, with a field left out": "filter {\n wrap json\n fields {\n user.id delete\n }\n }",
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			g.format = format
			path := newPath(t)
			if err := g.validate(t, path); err != nil {
				t.Error("validating:", err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("validating made the file")
			}
			g.mustLoad(t, path, "")
		})
	}
}

func TestOtherLogsHaveTheFormatTheyLike(t *testing.T) {
	for _, test := range []struct {
		name, format string
		lines        int // of one request
	}{
		// Logstash, say, would take a trial for a record
		{"JSON, which has nothing but records", "json", 1},
		{"ECS, likewise", "ecs", 1},
		{"text, which has the trial that tells the two logs apart", "console", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			other := filepath.Join(t.TempDir(), "other.log")
			g := newGateway(t)
			g.others = "log other {\n include http.handlers.audit_log\n output file " + other + " {\n roll_disabled\n }\n format " + test.format + "\n }"
			g.mustLoad(t, newPath(t), "")
			if status := g.get(t, "/1"); status != 200 {
				t.Errorf("status %d", status)
			}
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(other)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), "\n"); n != test.lines {
				t.Errorf("%d lines, want %d:\n%s", n, test.lines, text)
			}
		})
	}
}
