package auditfile_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("AUDIT_FILE_TO_DIE_OVER"); path != "" {
		liveUntilKilled(path)
	}
	goleak.VerifyTestMain(m, locksOfStorage)
}

// locksOfStorage: certmagic notices only after some seconds that a lock has been released.
var locksOfStorage = goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh")

// configuration is one with an audit file, as Caddy has it while it is loaded.
type configuration struct {
	ctx    caddy.Context
	end    func()
	logger *zap.Logger
	files  auditfile.Files
}

func load(t *testing.T, config string) configuration {
	t.Helper()
	c, err := tryLoad(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryLoad(config string) (c configuration, err error) {
	c.ctx, c.end = caddy.NewContext(caddy.Context{Context: context.Background()})
	module, err := c.ctx.LoadModuleByID("caddy.logging.writers.audit_file", json.RawMessage(config))
	if err != nil {
		c.end()
		return c, err
	}
	writer, err := module.(caddy.WriterOpener).OpenWriter()
	if err != nil {
		c.end()
		return c, err
	}
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
	c.logger = zap.New(zapcore.NewCore(encoder, zapcore.AddSync(writer), zapcore.InfoLevel))
	c.files = auditfile.Of(c.ctx)
	return c, nil
}

// serve is a request with its record.
func (c configuration) serve(t *testing.T, id string) {
	t.Helper()
	c.begin(t, id)()
}

// begin is a request that ends when the function it returns is called.
func (c configuration) begin(t *testing.T, id string) (end func()) {
	t.Helper()
	begun, err := c.files.Begin(auditfile.Request{Start: time.Now(), RequestID: id})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		c.logger.Info("", zap.String("http.request.id", id), zap.String("event.outcome", "success"), begun.Field())
		begun.End()
	}
}

// config is an audit file's configuration in JSON.
func config(path string, options ...string) string {
	return fmt.Sprintf(`{"filename":%q%s}`, path, strings.Join(append([]string{""}, options...), ","))
}

// files are a log's files in the order of the chain, the rotated ones by their names.
func files(t *testing.T, path string) []string {
	t.Helper()
	found, err := filepath.Glob(strings.TrimSuffix(path, ".log") + "-*")
	if err != nil {
		t.Fatal(err)
	}
	// a file that is being compressed is there twice, or in part
	found = slices.DeleteFunc(found, func(name string) bool {
		return strings.HasSuffix(name, ".tmp") || slices.Contains(found, strings.TrimSuffix(name, ".gz")) && strings.HasSuffix(name, ".gz")
	})
	slices.Sort(found)
	return append(found, path)
}

// audit reads all of a log and fails the test if it is not one whole chain that the head
// speaks of, and signed if there is a key.
func audit(t *testing.T, path, publicKey string) (lines []map[string]any) {
	t.Helper()
	var head chain.Head
	text, err := os.ReadFile(path + ".head")
	if err == nil {
		err = json.Unmarshal(text, &head)
	}
	if err == nil && publicKey != "" {
		err = head.Verify(readPublic(t, publicKey))
	}
	if err != nil {
		t.Fatal(err)
	}
	var at chain.Link
	covered := false
	for _, name := range files(t, path) {
		for n, raw := range rawLines(t, name) {
			line, err := chain.Parse(raw)
			if err == nil {
				err = line.Follows(at)
			}
			if err != nil {
				t.Fatalf("%s, line %d: %v", name, n+1, err)
			}
			at = line.Link
			covered = covered || at == head.Link
			var fields map[string]any
			if err := json.Unmarshal(raw, &fields); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fields)
		}
	}
	if !covered {
		t.Errorf("the head tells of line %d, which is not there", head.Sequence)
	}
	return lines
}

func readPublic(t *testing.T, name string) ed25519.PublicKey {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return public.(ed25519.PublicKey)
}

func rawLines(t *testing.T, name string) (lines [][]byte) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var reader io.Reader = bytes.NewReader(content)
	if strings.HasSuffix(name, ".gz") {
		if reader, err = gzip.NewReader(reader); err != nil {
			t.Fatal(err)
		}
	}
	buffered := bufio.NewReader(reader)
	for {
		line, err := buffered.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return lines
		}
		if err != nil {
			t.Fatalf("%s, after %d lines: %v", name, len(lines), err)
		}
		lines = append(lines, line)
	}
}

// story tells what lines are: the ids of requests, and what else has happened.
func story(lines []map[string]any) string {
	var words []string
	for _, line := range lines {
		for _, field := range []string{"http.request.id", "event.action"} {
			if value, ok := line[field]; ok {
				if value == "audit-file-opened" {
					value = line["event.reason"]
				}
				words = append(words, fmt.Sprint(value))
				break
			}
		}
	}
	return strings.Join(words, " ")
}

func expectStory(t *testing.T, path, want string) {
	t.Helper()
	if got := story(audit(t, path, "")); got != want {
		t.Errorf("the log tells: %s\nwant: %s", got, want)
	}
}

func newPath(t *testing.T) string {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "audit.log")
}

func waitFor(t *testing.T, what string, there func() bool) {
	t.Helper()
	for start := time.Now(); !there(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("no %s", what)
		}
	}
}
