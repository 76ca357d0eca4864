package elk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// filebeat is what is tested of filebeat.yml.
type filebeat struct {
	Inputs []struct {
		Type          string                      `yaml:"type"`
		ID            string                      `yaml:"id"`
		Paths         []string                    `yaml:"paths"`
		Compression   string                      `yaml:"compression"`
		Identity      any                         `yaml:"file_identity.fingerprint"`
		Length        int                         `yaml:"prospector.scanner.fingerprint.length"`
		CheckInterval time.Duration               `yaml:"prospector.scanner.check_interval"`
		BackoffInit   time.Duration               `yaml:"backoff.init"`
		BackoffMax    time.Duration               `yaml:"backoff.max"`
		Parsers       []map[string]map[string]any `yaml:"parsers"`
	} `yaml:"filebeat.inputs"`
	Processors []map[string]map[string]any `yaml:"processors"`
	Output     map[string]any              `yaml:"output.elasticsearch"`
	Logstash   map[string]any              `yaml:"output.logstash"`
	Template   *bool                       `yaml:"setup.template.enabled"`
	Lifecycle  *bool                       `yaml:"setup.ilm.enabled"`
}

func readFilebeat(t *testing.T, text string) (f filebeat) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil {
		t.Fatal(err)
	}
	if len(f.Inputs) != 1 {
		t.Fatalf("there are %d inputs, want 1", len(f.Inputs))
	}
	return f
}

func TestFilebeatReadsEachFileOfTheLogAndNoOther(t *testing.T) {
	input := readFilebeat(t, string(readFile(t, "filebeat.yml"))).Inputs[0]
	for name, option := range map[string]string{"compressed": `"gzip":true`, "not compressed": `"gzip":false`} {
		t.Run(name, func(t *testing.T) {
			logs, others := rotatedLog(t, option)
			folder := filepath.Dir(logs[0])
			var read []string
			for _, pattern := range input.Paths {
				found, err := filepath.Glob(strings.Replace(pattern, "/var/log/caddy-ollama", folder, 1)) // as Filebeat does
				if err != nil {
					t.Fatal(err)
				}
				read = append(read, found...)
			}
			slices.Sort(read)
			if !slices.Equal(read, logs) {
				t.Errorf("Filebeat reads %v, want %v and none of %v", read, logs, others)
			}
			// what Filebeat knows files by is there as soon as a file is, and in no other
			known := make(map[string]string)
			for _, name := range logs {
				first := readLog(t, name)[0]
				if len(first) < input.Length {
					t.Fatalf("%s begins with a line of %d bytes, which is too short for Filebeat to know it by: %s", name, len(first), first)
				}
				begin := string(first[:input.Length])
				if other := known[begin]; other != "" {
					t.Errorf("Filebeat takes %s for %s", name, other)
				}
				known[begin] = name
			}
		})
	}
}

// rotatedLog is a log with two rotated files at least, and what lies beside it.
func rotatedLog(t *testing.T, option string) (logs, others []string) {
	t.Helper()
	l := openLog(t, `{}`, `"roll_size":65536`, option)
	extension := ".log"
	if strings.HasSuffix(option, "true") {
		extension = ".log.gz"
	}
	folder := filepath.Dir(l.file)
	for deadline := time.Now().Add(20 * time.Second); ; {
		l.write(t, everything(t)[:2])
		rotated, err := filepath.Glob(filepath.Join(folder, "audit-*"+extension))
		if err != nil {
			t.Fatal(err)
		}
		if len(rotated) >= 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the log is not rotated")
		}
	}
	l.close()
	// left by a crash in the middle of compressing
	if err := os.WriteFile(filepath.Join(folder, "audit-20260102T000000.000Z.log.gz.tmp"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := filepath.Join(folder, entry.Name()); strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".log.gz") {
			logs = append(logs, name)
		} else {
			others = append(others, name)
		}
	}
	if len(logs) < 3 || len(others) < 3 {
		t.Fatalf("there are %v and %v, which proves nothing", logs, others)
	}
	return logs, others
}

func TestFilebeatTakesRecordsAsTheyAreAndOnce(t *testing.T) {
	f := readFilebeat(t, string(readFile(t, "filebeat.yml")))
	input := f.Inputs[0]
	if input.Type != "filestream" || input.ID == "" || input.Compression != "auto" {
		t.Errorf("the input is %+v", input)
	}
	if input.BackoffInit > input.BackoffMax || input.BackoffMax > input.CheckInterval || input.CheckInterval > 10*time.Second {
		t.Errorf("Filebeat wants backoff.init <= backoff.max <= check_interval: %v, %v, %v", input.BackoffInit, input.BackoffMax, input.CheckInterval)
	}
	if len(input.Parsers) != 1 {
		t.Fatalf("the parsers are %v", input.Parsers)
	}
	for _, option := range []string{"expand_keys", "overwrite_keys", "add_error_key"} {
		if input.Parsers[0]["ndjson"][option] != true {
			t.Errorf("ndjson: %s is not set", option)
		}
	}
	if target, ok := input.Parsers[0]["ndjson"]["target"]; !ok || target != "" {
		t.Errorf("ndjson: the target is %v, want the event itself", target)
	}
	// a record without a hash must get no id: it would be that of all of them
	id := f.Processors[0]["fingerprint"]
	if len(f.Processors) != 1 || id["target_field"] != "@metadata._id" ||
		!slices.Equal(id["fields"].([]any), []any{"event.hash"}) || !slices.Equal(id["when.has_fields"].([]any), []any{"event.hash"}) {
		t.Errorf("the id is made by %v", f.Processors)
	}
	if f.Output["index"] != "logs-caddy_ollama.audit-default" || f.Template == nil || *f.Template || f.Lifecycle == nil || *f.Lifecycle {
		t.Errorf("the output is %v, and Filebeat's own template or policy is not off", f.Output)
	}
}

// What is commented out works when it is taken in.
func TestFilebeatCanSendToLogstash(t *testing.T) {
	before, rest, ok := strings.Cut(string(readFile(t, "filebeat.yml")), "output.elasticsearch:\n")
	_, block, found := strings.Cut(rest, "\n# output.logstash:\n")
	if !ok || !found {
		t.Fatal("the outputs have moved")
	}
	block, rest, _ = strings.Cut(block, "\n\n")
	text := before + "output.logstash:\n" + strings.ReplaceAll("\n"+block, "\n# ", "\n") + "\n" + rest
	if f := readFilebeat(t, text); f.Output != nil || f.Logstash["hosts"] == nil || f.Logstash["ssl.key"] == nil {
		t.Errorf("got %+v", f)
	}
}
