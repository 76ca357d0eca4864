package elk

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	_ "github.com/gateway18789/caddy-ollama/auditlog/auditfile"
	_ "github.com/gateway18789/caddy-ollama/auditlog/ecs"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// writeLog writes the records into a log of audit_file, and closes it.
func writeLog(t *testing.T, encoderConfig string, records []*record.Record) (file string) {
	t.Helper()
	log := openLog(t, encoderConfig)
	defer log.close()
	log.write(t, records)
	return log.file
}

// openLog is a log of audit_file as Caddy has it.
func openLog(t *testing.T, encoderConfig string, options ...string) *log {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	end := sync.OnceFunc(cancel)
	t.Cleanup(end)
	encoder, err := ctx.LoadModuleByID("caddy.logging.encoders.ecs", []byte(encoderConfig))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "audit.log")
	config := fmt.Sprintf(`{"filename":%q%s}`, file, strings.Join(append([]string{""}, options...), ","))
	module, err := ctx.LoadModuleByID("caddy.logging.writers.audit_file", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	writer, err := module.(caddy.WriterOpener).OpenWriter()
	if err != nil {
		t.Fatal(err)
	}
	return &log{file, encoder.(zapcore.Encoder), writer, end}
}

type log struct {
	file    string
	encoder zapcore.Encoder
	writer  io.Writer
	close   func()
}

func (l *log) write(t *testing.T, records []*record.Record) {
	t.Helper()
	for i, r := range records {
		line, err := l.encoder.EncodeEntry(
			zapcore.Entry{Time: r.Start, LoggerName: "http.handlers.audit_log", Message: "request"},
			[]zapcore.Field{zap.Inline(r), zap.String("event.id", fmt.Sprintf("id-%d", i))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.writer.Write(line.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
}

// readLog reads the lines of a file, be it compressed or not.
func readLog(t *testing.T, name string) (lines [][]byte) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var reader io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if reader, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	scanner := bufio.NewScanner(reader)
	scanner.Buffer(nil, 64<<10)
	for scanner.Scan() {
		lines = append(lines, bytes.Clone(scanner.Bytes()))
	}
	if scanner.Err() != nil {
		t.Fatal(scanner.Err())
	}
	return lines
}

// fieldsOf are a line's fields by their dotted names, as Filebeat's expand_keys and
// Elasticsearch have them. A name that is there twice is an error to them.
func fieldsOf(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(line, &object); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	fields := make(map[string]any)
	var flatten func(prefix string, object map[string]any)
	flatten = func(prefix string, object map[string]any) {
		for name, value := range object {
			if inner, ok := value.(map[string]any); ok {
				flatten(prefix+name+".", inner)
				continue
			}
			if _, twice := fields[prefix+name]; twice {
				t.Errorf("%s is there both nested and dotted: %s", prefix+name, line)
			}
			fields[prefix+name] = value
		}
	}
	flatten("", object)
	return fields
}
