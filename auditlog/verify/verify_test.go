package verify

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
	"github.com/gateway18789/caddy-ollama/auditlog/lines"
)

// small is a log of three files with five lines each.
func small() *testLog {
	l := &testLog{head: chain.Head{First: 1}}
	for n := range 3 {
		l.files = append(l.files, nil)
		l.open([]string{chain.Created, chain.Rotated, chain.Rotated}[n])
		for range 4 {
			l.write(`{"event.reason":"ok"}`)
		}
	}
	return l
}

func TestPlacesAndKindsOfChanges(t *testing.T) {
	raw := func(text string) []byte { return []byte(text + "\n") }
	for _, test := range []struct {
		name   string
		change func(l *testLog)
		want   []string
	}{
		{"a changed text", func(l *testLog) { l.files[1][2] = bytes.Replace(l.files[1][2], []byte("ok"), []byte("no"), 1) },
			[]string{"changed h.log:3"}},
		{"a changed hash", func(l *testLog) { l.files[1][2] = swapDigit(l.files[1][2]) },
			[]string{"changed h.log:3"}},
		{"a changed hash in each of three lines in a row", func(l *testLog) {
			for n := 1; n < 4; n++ {
				l.files[1][n] = swapDigit(l.files[1][n])
			}
		}, []string{"changed h.log:2", "changed h.log:3", "changed h.log:4"}},
		{"a changed hash, and behind it a changed text", func(l *testLog) {
			l.files[1][1] = swapDigit(l.files[1][1])
			l.files[1][2] = bytes.Replace(l.files[1][2], []byte("ok"), []byte("no"), 1)
		}, []string{"changed h.log:2", "changed h.log:3"}},
		{"a changed time in an opening line", func(l *testLog) {
			l.files[1][0] = bytes.Replace(l.files[1][0], []byte(`"@timestamp":"2`), []byte(`"@timestamp":"1`), 1)
		}, []string{"changed h.log:1"}},
		{"the first line of all changed", func(l *testLog) {
			l.files[0][0] = bytes.Replace(l.files[0][0], []byte(`"@timestamp":"2`), []byte(`"@timestamp":"1`), 1)
		}, []string{"changed a.log:1"}},
		{"three lines missing", func(l *testLog) { l.files[1] = slices.Delete(l.files[1], 1, 4) }, []string{"missing h.log:2"}},
		{"an opening line missing", func(l *testLog) { l.files[1] = l.files[1][1:] },
			[]string{"no_opening h.log:1", "missing h.log:1"}},
		{"the first line of all missing", func(l *testLog) { l.files[0] = l.files[0][1:] },
			[]string{"no_opening a.log:1", "missing a.log:1"}},
		{"two lines swapped far apart", func(l *testLog) { l.files[0][2], l.files[2][2] = l.files[2][2], l.files[0][2] },
			[]string{"misplaced a.log:3", "misplaced o.log:3"}},
		{"a block that comes again", func(l *testLog) { l.files[1] = slices.Insert(l.files[1], 4, l.files[0][1:4]...) },
			[]string{"misplaced h.log:5"}},
		{"a block that comes again at the end", func(l *testLog) { l.files[2] = append(l.files[2], l.files[0][1:4]...) },
			[]string{"misplaced o.log:6"}},
		{"a copy of a later line", func(l *testLog) { l.files[1] = slices.Insert(l.files[1], 2, l.files[2][3]) },
			[]string{"misplaced h.log:3"}},
		{"a copy of an earlier line", func(l *testLog) { l.files[1] = slices.Insert(l.files[1], 2, l.files[0][3]) },
			[]string{"misplaced h.log:3"}},
		{"the line before, forged, in front of it", func(l *testLog) {
			l.files[1] = slices.Insert(l.files[1], 2, sealedAs(l.files[1][1], 8))
		}, []string{"misplaced h.log:4"}},
		{"a last line whose hash fits, but not its number", func(l *testLog) {
			l.files[2][4] = sealedAs(l.files[2][3], 20)
			sealed, err := chain.Parse(l.files[2][4])
			if err != nil {
				panic(err)
			}
			l.head.Link = sealed.Link
		}, []string{"missing o.log:5"}},
		{"a line of no log", func(l *testLog) { l.files[1] = slices.Insert(l.files[1], 2, raw("{}")) }, []string{"foreign h.log:3"}},
		{"a line of no log in another's place", func(l *testLog) { l.files[1][2] = raw("{}") }, []string{"foreign h.log:3"}},
		{"an empty line", func(l *testLog) { l.files[1] = slices.Insert(l.files[1], 2, raw("")) }, []string{"foreign h.log:3"}},
		{"a line that is too long", func(l *testLog) { l.files[1][2] = raw(strings.Repeat("x", lines.MaxLength+1)) }, []string{"foreign h.log:3"}},
		{"line breaks of Windows", func(l *testLog) { l.files[2][4] = bytes.Replace(l.files[2][4], []byte("\n"), []byte("\r\n"), 1) },
			[]string{"foreign o.log:5"}},
		{"a file in the middle that ends within a line", func(l *testLog) { l.files[1][4] = l.files[1][4][:20] }, []string{"unfinished h.log:5"}},
		{"a middle file missing", func(l *testLog) { l.files[1] = nil }, []string{"missing o.log:1"}},
		{"a middle file missing, and behind it a changed hash", func(l *testLog) {
			l.files[1] = nil
			l.files[2][0] = swapDigit(l.files[2][0])
		}, []string{"missing o.log:1", "changed o.log:1"}},
		{"lines missing behind one that is destroyed", func(l *testLog) {
			l.files[1][1] = raw("{}")
			l.files[1] = slices.Delete(l.files[1], 2, 4)
		}, []string{"foreign h.log:2", "missing h.log:3"}},
		{"the oldest file missing", func(l *testLog) { l.files[0] = nil }, []string{"missing h.log:1"}},
		{"the newest file missing", func(l *testLog) { l.files[2] = nil }, []string{"missing h.log:5"}},
		{"nothing left", func(l *testLog) { l.files = [][][]byte{nil} }, []string{"missing .:0"}},
		{"a file that is there twice", func(l *testLog) { l.files = append(l.files, l.files[1]) }, []string{"misplaced v.log:1"}},
		{"a head that tells another hash", func(l *testLog) { l.head.Hash[0] ^= 1 }, []string{"head o.log:5"}},
		{"changes in all files", func(l *testLog) {
			for f := range l.files {
				l.files[f][3] = bytes.Replace(l.files[f][3], []byte("ok"), []byte("no"), 1)
			}
		}, []string{"changed a.log:4", "changed h.log:4", "changed o.log:4"}},
		{"a chain that begins with no zeros", func(l *testLog) {
			var at chain.Link
			at.Hash[0] = 1
			at.Sequence = 0
			for i := range l.files[0] {
				body := l.files[0][i][:bytes.LastIndex(l.files[0][i], []byte(`,"event.sequence":`))]
				if i == 0 {
					body = bytes.TrimSuffix(chain.Opening{Reason: chain.Created, Previous: at.Hash}.Line(), []byte("}"))
				}
				l.files[0][i], at, _ = at.Seal(nil, append(bytes.Clone(body), '}'))
			}
			l.files, l.head.Link = l.files[:1], at
		}, []string{"changed a.log:1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := small()
			test.change(l)
			expect(t, l.verify(t, &l.head, never), test.want...)
		})
	}
}

// sealedAs is a line that follows another one, but for the number it has.
func sealedAs(before []byte, number uint64) []byte {
	sealed, err := chain.Parse(before)
	if err != nil {
		panic(err)
	}
	body := fmt.Sprintf(`{"event.reason":"ok","event.sequence":%d`, number)
	line, err := chain.Parse([]byte(body + `,"event.hash":"` + chain.Hash{}.String() + `"}`))
	if err != nil {
		panic(err)
	}
	return []byte(body + `,"event.hash":"` + line.HashAfter(sealed.Hash).String() + "\"}\n")
}

// swapDigit changes the last digit of a line's hash.
func swapDigit(line []byte) []byte {
	line = bytes.Clone(line)
	at := len(line) - 4
	if line[at]++; line[at] == '9'+1 || line[at] == 'f'+1 {
		line[at] = '0'
	}
	return line
}

// The line behind one that is destroyed has nothing to be checked against, and whoever
// changed the one may have changed the other.
func TestLinesThatCannotBeCheckedAreCounted(t *testing.T) {
	l := small()
	l.files[1][2] = []byte("{}\n")
	if r := l.verify(t, &l.head, never); r.Unchecked != 1 {
		t.Errorf("behind a destroyed line: %d", r.Unchecked)
	}
	l = small()
	l.files[1] = slices.Delete(l.files[1], 2, 3)
	if r := l.verify(t, &l.head, never); r.Unchecked != 1 {
		t.Errorf("behind a missing line: %d", r.Unchecked)
	}
	l = small()
	l.files[1] = nil
	if r := l.verify(t, &l.head, never); r.Unchecked != 0 {
		t.Errorf("an opening line says itself what came before: %d", r.Unchecked)
	}
}

func TestAChangedOpeningBehindAMissingFileIsFound(t *testing.T) {
	l := small()
	l.files[1] = nil
	l.files[2][0] = bytes.Replace(l.files[2][0], []byte(`"@timestamp":"2`), []byte(`"@timestamp":"1`), 1)
	expect(t, l.verify(t, &l.head, never), "missing o.log:1", "changed o.log:1")
}

func TestALineThatIsBeingWrittenIsNoFault(t *testing.T) {
	l := small()
	next, _, err := l.head.Seal(nil, []byte(`{"event.reason":"ok"}`))
	if err != nil {
		t.Fatal(err)
	}
	l.files[2] = append(l.files[2], next[:len(next)-1])
	r := l.verify(t, &l.head, never)
	expect(t, r)
	if len(r.Notes) != 1 || r.Notes[0].Kind != Unfinished || r.Notes[0].where() != "o.log:6" {
		t.Errorf("notes: %+v", r.Notes)
	}
}

// The gateway writes its head after the lines: there may be more lines than it tells of.
func TestLinesAfterTheHeadAreCounted(t *testing.T) {
	l := small()
	head := l.head
	l.write(`{"event.reason":"ok"}`)
	l.write(`{"event.reason":"ok"}`)
	r := l.verify(t, &head, never)
	expect(t, r)
	if r.AfterHead != 2 {
		t.Errorf("%d lines after the head", r.AfterHead)
	}
}

// A head may promise less than there is: it is written before old files are deleted.
func TestAnOlderFileThanTheHeadTellsOfIsNoFault(t *testing.T) {
	l := small()
	l.head.First = 6
	expectSound(t, l.verify(t, &l.head, never))
}

func TestWithoutAHeadAMissingEndCannotBeTold(t *testing.T) {
	l := small()
	l.files[2] = l.files[2][:3]
	l.files[0] = nil
	expectSound(t, l.verify(t, nil, never))
}

func TestWhatTheGatewayItselfHasFoundIsTold(t *testing.T) {
	l := small()
	l.write(`{"event.action":"audit-head-mismatch","event.reason":"the log ends with line 3, but its head tells of line 9"}`)
	l.write(`{"event.action":"audit-head-key-changed","event.reason":"sign_key","labels.key_before":"a"}`)
	l.write(`{"event.action":"audit-line-cut","event.reason":"unfinished","labels.aside":"audit.log.cut-1"}`)
	l.write(`{"event.action":"audit-write-resumed","event.reason":"disk full","labels.late":2,"labels.lost":3}`)
	l.write(`{"event.action":"audit-journal-unreadable","event.reason":"crash"}`)
	l.write(`{"event.action":"audit-line-unfit","event.reason":"use format json"}`)
	l.write(`{"user.id":"\"event.action\":\"audit-head-mismatch\""}`) // somebody would like to be one
	r := l.verify(t, &l.head, never)
	expect(t, r, "told o.log:6")
	if !strings.Contains(r.Findings[0].Message, "its head tells of line 9") {
		t.Errorf("it says %q", r.Findings[0].Message)
	}
	var notes []string
	for _, n := range r.Notes {
		notes = append(notes, n.Message)
	}
	text := strings.Join(notes, "\n")
	for _, want := range []string{"another key: none", "audit.log.cut-1", "2 lines came late, 3 are lost", "nothing is known", "use format json"} {
		if !strings.Contains(text, want) {
			t.Errorf("the notes lack %q:\n%s", want, text)
		}
	}
}

func TestOnlyTheFirstPlacesAreKeptButAllAreCounted(t *testing.T) {
	l := small()
	for f := range l.files {
		l.files[f][2] = []byte("{}\n")
	}
	names := l.save(t, t.TempDir(), never)
	r, err := Files(Order(names), Options{Head: &l.head, Limit: 2})
	if err != nil || len(r.Findings) != 2 || r.Found != 3 {
		t.Errorf("%d kept of %d (%v)", len(r.Findings), r.Found, err)
	}
}

func TestWhatAReportSaysOfFiles(t *testing.T) {
	l := small()
	r := l.verify(t, &l.head, func(int) bool { return true })
	if r.Lines != 15 || r.First != 1 || r.Last != 15 || len(r.Files) != 3 {
		t.Fatalf("%+v", r)
	}
	for n, f := range r.Files {
		if f.Lines != 5 || f.First != uint64(n*5+1) || f.Last != uint64(n*5+5) {
			t.Errorf("file %d: %+v", n, f)
		}
	}
}

func TestAFileThatCannotBeReadIsAnErrorAndTheOthersAreRead(t *testing.T) {
	l := small()
	names := l.save(t, t.TempDir(), never)
	missing := filepath.Join(t.TempDir(), "x.log")
	r, err := Files(Order(append(names, missing)), Options{Head: &l.head, Limit: 9})
	if err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v", err)
	}
	expectSound(t, r)
}

func TestFilesAreOrderedByTheirNumbersWhateverTheirNames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	l := newLog(random, 20)
	names := l.save(t, t.TempDir(), func(file int) bool { return file%2 == 0 })
	empty := filepath.Join(filepath.Dir(names[0]), "A.log")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := Order(append([]string{empty}, names...))
	slices.Reverse(names)
	if want := append(names, empty); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Whatever a file holds, the verifier says something of it and does not fall over.
func FuzzFiles(f *testing.F) {
	l := small()
	f.Add(bytes.Join(l.files[0], nil), bytes.Join(l.files[1], nil))
	f.Add([]byte("{}\n"), zip(bytes.Join(l.files[1], nil)))
	f.Add([]byte{0x1f, 0x8b}, []byte(`{"a":1,"event.sequence":18446744073709551615,"event.hash":"`+strings.Repeat("0", 64)+`"}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		dir := t.TempDir()
		names := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
		for i, content := range [][]byte{a, b} {
			if err := os.WriteFile(names[i], content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Files(Order(names), Options{Head: &l.head, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Findings) > 5 || r.Found < len(r.Findings) {
			t.Errorf("%d findings, %d counted", len(r.Findings), r.Found)
		}
	})
}

// A record in the form in which the gateway writes it, for benchmarks.
const typical = `{"@timestamp":"2026-11-22T05:14:15.123456Z","log":{"level":"info","logger":"http.handlers.audit_log"},"message":"request","ecs":{"version":"9.4.0"},"service":{"name":"caddy-ollama"},"event":{"kind":"event","category":["web"],"type":["access"],"action":"request","dataset":"caddy_ollama.audit","module":"caddy_ollama","outcome":"success","reason":"ok","duration":1500000000},"http":{"version":"2.0","request":{"id":"0192f0c1-7d3a-7c55-9b1f-0242ac120002","method":"POST"},"response":{"status_code":200}},"url":{"path":"/v1/chat/completions"},"source":{"ip":"192.0.2.1"},"user":{"id":"clawdbot"},"gen_ai":{"operation":{"name":"chat"},"request":{"model":"qwen3:32b","stream":true},"usage":{"input_tokens":812,"output_tokens":240}}}`

func BenchmarkFiles(b *testing.B) {
	for _, zipped := range []bool{false, true} {
		name := "plain"
		if zipped {
			name = "gzip"
		}
		b.Run(name, func(b *testing.B) {
			l := &testLog{files: [][][]byte{nil}, head: chain.Head{First: 1, Time: time.Now()}}
			l.open(chain.Created)
			size := int64(0)
			for size < 64<<20 {
				l.write(typical)
				size += int64(len(l.files[0][len(l.files[0])-1]))
			}
			content := bytes.Join(l.files[0], nil)
			if zipped {
				content = zip(content)
			}
			file := filepath.Join(b.TempDir(), "audit.log")
			if err := os.WriteFile(file, content, 0o600); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			for b.Loop() {
				r, err := Files([]string{file}, Options{Head: &l.head, Limit: 1})
				if err != nil || !r.Sound() {
					b.Fatal(r.Findings, err)
				}
			}
		})
	}
}
