package verify

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// testLog is a log in memory: the lines of its files, with their line breaks.
type testLog struct {
	files [][][]byte
	head  chain.Head
}

// newLog makes a log of so many files as audit_file does: every file begins with an
// opening line, some are opened again after a restart, and lines are dotted or nested.
func newLog(random *rand.Rand, files int) *testLog {
	l := &testLog{head: chain.Head{First: 1, Time: time.Now()}}
	for n := range files {
		reason := chain.Rotated
		if n == 0 {
			reason = chain.Created
		}
		l.files = append(l.files, nil)
		l.open(reason)
		for i := range 3 + random.IntN(12) {
			if random.IntN(10) == 0 {
				l.open(chain.Restarted)
			}
			if random.IntN(2) == 0 {
				l.write(fmt.Sprintf(`{"@timestamp":"2026-11-24T08:00:00.%06dZ","event.reason":"ok","user.id":"user %d"}`, i, random.IntN(9)))
			} else {
				l.write(fmt.Sprintf(`{"event":{"reason":"ok"},"user":{"id":"\u202euser %d"},"event.sequence":%d}`, random.IntN(9), i+1))
			}
		}
	}
	return l
}

func (l *testLog) open(reason string) {
	l.write(string(chain.Opening{Time: time.Now(), Reason: reason, Previous: l.head.Hash}.Line()))
}

func (l *testLog) write(line string) {
	sealed, next, err := l.head.Seal(nil, []byte(line))
	if err != nil {
		panic(err)
	}
	l.head.Link = next
	last := len(l.files) - 1
	l.files[last] = append(l.files[last], sealed)
}

// clone is a copy whose lines can be changed.
func (l *testLog) clone() *testLog {
	c := &testLog{head: l.head}
	for _, file := range l.files {
		lines := make([][]byte, len(file))
		for i, line := range file {
			lines[i] = bytes.Clone(line)
		}
		c.files = append(c.files, lines)
	}
	return c
}

// name is what a file is called: in no order at all.
func name(file int) string { return fmt.Sprintf("%c.log", 'a'+file*7%26) }

// save writes the log into a folder, some files compressed, and gives their names back
// to front.
func (l *testLog) save(t *testing.T, dir string, zipped func(file int) bool) (names []string) {
	t.Helper()
	for n, lines := range l.files {
		content := bytes.Join(lines, nil)
		path := filepath.Join(dir, name(n))
		if zipped(n) {
			path += ".gz"
			content = zip(content)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append([]string{path}, names...)
	}
	return names
}

// zipper is used again and again: making one takes longer than all the rest.
var zipper = gzip.NewWriter(nil)

func zip(content []byte) []byte {
	var zipped bytes.Buffer
	zipper.Reset(&zipped)
	_, _ = zipper.Write(content)
	_ = zipper.Close()
	return zipped.Bytes()
}

func never(int) bool { return false }

// verify saves the log in a folder of its own and verifies it.
func (l *testLog) verify(t *testing.T, head *chain.Head, zipped func(file int) bool) *Report {
	t.Helper()
	return verifyFiles(t, l.save(t, t.TempDir(), zipped), head)
}

func verifyFiles(t *testing.T, names []string, head *chain.Head) *Report {
	t.Helper()
	report, err := Files(Order(names), Options{Head: head, Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// where is the place of a finding, as file:line.
func (f Finding) where() string {
	return fmt.Sprintf("%s:%d", strings.TrimSuffix(filepath.Base(f.File), ".gz"), f.Line)
}

// place is the place of a line: file and index.
func placeOf(file, line int) string { return fmt.Sprintf("%s:%d", name(file), line+1) }

func expectSound(t *testing.T, r *Report) {
	t.Helper()
	if !r.Sound() || r.Noted > 0 || r.Unchecked > 0 {
		t.Errorf("complaints: %v, notes: %v, unchecked: %d", r.Findings, r.Notes, r.Unchecked)
	}
}

// expect checks which places are named and what for, as "kind file:line".
func expect(t *testing.T, r *Report, want ...string) {
	t.Helper()
	var got []string
	for _, f := range r.Findings {
		got = append(got, fmt.Sprintf("%s %s", f.Kind, f.where()))
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("found %q\nwant  %q\n%+v", got, want, r.Findings)
	}
	if r.Found != len(r.Findings) {
		t.Errorf("counted %d of %d", r.Found, len(r.Findings))
	}
}
