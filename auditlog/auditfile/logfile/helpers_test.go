package logfile

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// standard are the options that the tests start from.
func standard() Options {
	return Options{
		RollSize: 100 << 20, RollDaily: true, Retention: 180 * 24 * time.Hour,
		Fsync: 50 * time.Millisecond, Refuse: true,
	}
}

// opening is a log that a test opens, and what it told the operator.
type testLog struct {
	*Log
	told *observer.ObservedLogs
}

// start opens a log as a new process would.
func start(t *testing.T, path string, options Options, disk *disk) testLog {
	t.Helper()
	log, err := tryStart(path, options, disk)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func tryStart(path string, options Options, disk *disk) (testLog, error) {
	core, told := observer.New(zapcore.InfoLevel)
	c := Config{Path: path, Options: options, Logger: func() *zap.Logger { return zap.New(core) }}
	if disk != nil {
		c.OpenFile = disk.open
	}
	log, err := Open(c)
	return testLog{log, told}, err
}

func (l testLog) write(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if _, err := l.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
	}
}

func (l testLog) close(t *testing.T) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// errors are what the operator was told at a level.
func (l testLog) at(level zapcore.Level) (messages []string) {
	for _, entry := range l.told.All() {
		if entry.Level == level {
			messages = append(messages, entry.Message)
		}
	}
	return messages
}

// numbered are records 1 to n.
func numbered(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"n":%d,"event.sequence":99}`, i+1))
	}
	return lines
}

// audit reads all that there is of a log, as somebody would who does not trust it: the
// lines in their order. It fails the test if they are not one whole chain that the head
// speaks of.
func audit(t *testing.T, path string, key ed25519.PublicKey) (lines []map[string]any) {
	t.Helper()
	head, err := readHead(path + ".head")
	if err != nil || head == nil {
		t.Fatalf("the head: %v, %v", head, err)
	}
	if key != nil {
		if err := head.Verify(key); err != nil {
			t.Error(err)
		}
	}
	raw := readAll(t, path)
	if err := verify(raw, *head); err != nil {
		t.Fatal(err)
	}
	for _, line := range raw {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fields)
	}
	return lines
}

// readAll are the raw lines of all files.
func readAll(t *testing.T, path string) (lines [][]byte) {
	t.Helper()
	rotated, err := segments(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(r io.Reader) {
		lines = append(lines, splitLines(t, r)...)
	}
	for _, s := range rotated {
		r, err := s.open()
		if err != nil {
			t.Fatal(err)
		}
		read(r)
		_ = r.Close()
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	read(file)
	return lines
}

func splitLines(t *testing.T, r io.Reader) (lines [][]byte) {
	t.Helper()
	buffered := bufio.NewReader(r)
	for {
		line, err := buffered.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return lines
		}
		if err != nil {
			t.Fatalf("after %d lines: %v, %q", len(lines), err, line)
		}
		lines = append(lines, line)
	}
}

// verify checks that the lines are one whole chain, from the first that the head names
// to the one that it was written after, or later ones.
func verify(lines [][]byte, head chain.Head) error {
	if len(lines) == 0 {
		return errors.New("there is nothing")
	}
	opening, ok := chain.ParseOpening(lines[0])
	if !ok {
		return errors.New("the first line is no opening")
	}
	at := chain.Link{Sequence: head.First - 1, Hash: opening.Previous}
	covered := false
	for n, raw := range lines {
		line, err := chain.Parse(raw)
		if err == nil {
			err = line.Follows(at)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
		at = line.Link
		covered = covered || at == head.Link
	}
	if !covered {
		return fmt.Errorf("the head's line %d is not there", head.Sequence)
	}
	return nil
}

// with are the values of a field, in those lines that have it.
func with(lines []map[string]any, field string) (values []any) {
	for _, line := range lines {
		if value, ok := line[field]; ok {
			values = append(values, value)
		}
	}
	return values
}

// story tells the event.action of lines, with the reason, and n for records.
func story(lines []map[string]any) string {
	var words []string
	for _, line := range lines {
		switch {
		case line["n"] != nil:
			words = append(words, fmt.Sprint(line["n"]))
		case line["event.action"] == "audit-file-opened":
			words = append(words, fmt.Sprint(line["event.reason"]))
		case line["event.action"] != nil:
			words = append(words, fmt.Sprint(line["event.action"]))
		default:
			words = append(words, fmt.Sprint(line["event.reason"]))
		}
	}
	return strings.Join(words, " ")
}

func expectStory(t *testing.T, lines []map[string]any, want string) {
	t.Helper()
	if got := story(lines); got != want {
		t.Errorf("the log tells: %s\nwant: %s", got, want)
	}
}

// disk is one that fails when it is told to.
type disk struct {
	mu   sync.Mutex
	room int    // bytes that still fit; negative for any number
	io   error  // every write and sync fails with it
	cut  bool   // truncating fails too
	only string // only files whose name ends so are affected
}

func (d *disk) open(name string, flag int) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.io == os.ErrPermission {
		return nil, d.io
	}
	file, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return &diskFile{file, d}, nil
}

func (d *disk) set(room int, io error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room, d.io = room, io
}

type diskFile struct {
	*os.File
	disk *disk
}

// grant is how many of n bytes can be written.
func (f *diskFile) grant(n int) (int, error) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !strings.HasSuffix(f.Name(), d.only) {
		return n, nil
	}
	if d.io != nil {
		return 0, d.io
	}
	if d.room < 0 || n <= d.room {
		if d.room >= 0 {
			d.room -= n
		}
		return n, nil
	}
	n, d.room = d.room, 0
	return n, syscall.ENOSPC
}

func (f *diskFile) Write(p []byte) (int, error) {
	n, err := f.grant(len(p))
	m, writeErr := f.File.Write(p[:n])
	return m, errors.Join(err, writeErr)
}

func (f *diskFile) WriteAt(p []byte, at int64) (int, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	// what is there already can be overwritten
	fresh := max(0, int(at)+len(p)-int(info.Size()))
	n, err := f.grant(fresh)
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		return 0, err
	}
	m, writeErr := f.File.WriteAt(p[:len(p)-fresh+n], at)
	return m, errors.Join(err, writeErr)
}

func (f *diskFile) Sync() error {
	if _, err := f.grant(0); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *diskFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	cut := f.disk.cut
	f.disk.mu.Unlock()
	if cut {
		return syscall.EIO
	}
	return f.File.Truncate(size)
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func overwrite(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// names are the files of a folder but for those that are always there.
func names(t *testing.T, path string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		switch name := entry.Name(); name {
		case "audit.log", "audit.log.head", "audit.log.lock", "audit.log.inflight":
		default:
			found = append(found, name)
		}
	}
	return found
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !bytes.Contains([]byte(text), []byte(part)) {
		t.Errorf("%q is missing in %q", part, text)
	}
}
