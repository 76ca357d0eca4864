package verify

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// cases is how many changes of each kind are tried.
const cases = 1000

// tampered runs a change on random logs. The change gives the places of which the first
// that is found must be one, or none if anything will do; exact says that nothing else
// may be found.
func tampered(t *testing.T, change func(random *rand.Rand, l *testLog) (places []string, exact bool)) {
	dir := t.TempDir()
	for seed := range uint64(cases) {
		random := rand.New(rand.NewPCG(seed, 18789))
		l := newLog(random, 2+random.IntN(4))
		zipped := func(file int) bool { return file < len(l.files)-1 && random.IntN(2) == 0 }
		sub := filepath.Join(dir, "log")
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		places, exact := change(random, l)
		report := verifyFiles(t, l.save(t, sub, zipped), &l.head)
		if report.Sound() {
			t.Fatalf("case %d: nothing found, it is at %v", seed, places)
		}
		for i, f := range report.Findings {
			if (i == 0 || exact) && !slices.Contains(places, f.where()) {
				t.Fatalf("case %d: it is at %v, found: %+v", seed, places, report.Findings)
			}
		}
		if err := os.RemoveAll(sub); err != nil {
			t.Fatal(err)
		}
	}
}

// pick is a line at random.
func (l *testLog) pick(random *rand.Rand) (file, line int) {
	file = random.IntN(len(l.files))
	return file, random.IntN(len(l.files[file]))
}

// after is the place of the line behind one: where it shows that the one is missing. For
// the last line of all it is the line before.
func (l *testLog) after(file, line int) string {
	switch {
	case line < len(l.files[file]): // it is gone, so this is the next
		return placeOf(file, line)
	case file+1 < len(l.files):
		return placeOf(file+1, 0)
	default:
		return placeOf(file, line-1)
	}
}

func TestAnyChangedByteIsFoundInItsLine(t *testing.T) {
	tampered(t, func(random *rand.Rand, l *testLog) ([]string, bool) {
		file, line := l.pick(random)
		text := l.files[file][line]
		at := random.IntN(len(text))
		text[at] ^= byte(1 + random.IntN(255))
		// without its line break a line swallows the next, and with one more it is two
		whole := at < len(text)-1 && !bytes.Contains(text[:len(text)-1], []byte("\n"))
		return []string{placeOf(file, line)}, whole
	})
}

// A number that looks like another one leads a verifier astray most easily.
func TestAnyChangedDigitOfANumberIsFoundInItsLine(t *testing.T) {
	tampered(t, func(random *rand.Rand, l *testLog) ([]string, bool) {
		file, line := l.pick(random)
		text := l.files[file][line]
		number := bytes.LastIndex(text, []byte(`"event.sequence":`)) + len(`"event.sequence":`)
		end := number + bytes.IndexByte(text[number:], ',')
		at := number + random.IntN(end-number)
		for before := text[at]; text[at] == before; {
			text[at] = byte('0' + random.IntN(10))
		}
		return []string{placeOf(file, line)}, !l.isLast(file, line)
	})
}

func (l *testLog) isLast(file, line int) bool {
	return file == len(l.files)-1 && line == len(l.files[file])-1
}

func TestALostLineIsFoundWhereTheNextStands(t *testing.T) {
	tampered(t, func(random *rand.Rand, l *testLog) ([]string, bool) {
		file, line := l.pick(random)
		l.files[file] = slices.Delete(l.files[file], line, line+1)
		return []string{l.after(file, line)}, true
	})
}

func TestTwoSwappedLinesAreFoundInOneOfTheirPlaces(t *testing.T) {
	tampered(t, func(random *rand.Rand, l *testLog) ([]string, bool) {
		for {
			f1, l1 := l.pick(random)
			f2, l2 := l.pick(random)
			if f1 == f2 && l1 == l2 {
				continue
			}
			l.files[f1][l1], l.files[f2][l2] = l.files[f2][l2], l.files[f1][l1]
			return []string{placeOf(f1, l1), placeOf(f2, l2)}, false
		}
	})
}

func TestAnAddedLineIsFoundInItsPlaceOrTheNext(t *testing.T) {
	tampered(t, func(random *rand.Rand, l *testLog) ([]string, bool) {
		file, line := l.pick(random) // it comes before this one
		var added []byte
		switch random.IntN(4) {
		case 0: // a copy of another
			f, n := l.pick(random)
			added = bytes.Clone(l.files[f][n])
		case 1: // no line of the log
			added = []byte(`{"user.id":"nobody"}` + "\n")
		case 2:
			added = []byte("\n")
		case 3: // one that fits perfectly to the line before
			if line == 0 {
				line = 1
			}
			before, err := chain.Parse(l.files[file][line-1])
			if err != nil {
				panic(err)
			}
			added, _, _ = before.Seal(nil, []byte(`{"user.id":"nobody"}`))
		}
		l.files[file] = slices.Insert(l.files[file], line, added)
		return []string{placeOf(file, line), placeOf(file, line+1)}, true
	})
}

func TestAMissingEndIsFound(t *testing.T) {
	tampered(t, func(random *rand.Rand, l *testLog) ([]string, bool) {
		last := len(l.files) - 1
		lines := l.files[last]
		keep := 1 + random.IntN(len(lines)-1)
		l.files[last] = lines[:keep]
		if random.IntN(2) == 0 { // within a line
			torn := lines[keep]
			l.files[last] = append(slices.Clip(l.files[last]), torn[:1+random.IntN(len(torn)-1)])
			return []string{placeOf(last, keep)}, true
		}
		return []string{placeOf(last, keep-1)}, true
	})
}

func TestADeletedFileIsFound(t *testing.T) {
	tampered(t, func(random *rand.Rand, l *testLog) ([]string, bool) {
		file := random.IntN(len(l.files))
		var where string
		if file < len(l.files)-1 {
			where = placeOf(file, 0) // the next gets its name
		} else {
			where = placeOf(file-1, len(l.files[file-1])-1)
		}
		l.files = slices.Delete(l.files, file, file+1)
		return []string{where}, true
	})
}

func TestAChainThatWasWrittenAnewIsFoundByTheHead(t *testing.T) {
	tampered(t, func(random *rand.Rand, l *testLog) ([]string, bool) {
		file, line := l.pick(random)
		at := chain.Link{}
		found := false
		for f := range l.files {
			for n, raw := range l.files[f] {
				if f == file && n == line {
					raw, found = []byte(`{"user.id":"nobody","event.sequence":1,"event.hash":"`+strings.Repeat("0", 64)+"\"}\n"), true
				}
				if found {
					body := raw[:bytes.LastIndex(raw, []byte(`,"event.sequence":`))]
					raw, _, _ = at.Seal(nil, append(bytes.Clone(body), '}'))
					l.files[f][n] = raw
				}
				sealed, err := chain.Parse(raw)
				if err != nil {
					panic(err)
				}
				at = sealed.Link
			}
		}
		last := len(l.files) - 1
		// the opening lines that come after tell the old hashes; else it shows at the end
		places := []string{placeOf(last, len(l.files[last])-1)}
		for f := range l.files {
			places = append(places, placeOf(f, 0))
		}
		return places, false
	})
}

// uncompressed is the text of a compressed file; empty if it is broken.
func uncompressed(content []byte) string {
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return ""
	}
	return string(text)
}

// A compressed file in which a byte was changed holds the same text still, or the change
// is found in that file.
func TestAnyChangedByteOfACompressedFileIsFound(t *testing.T) {
	dir := t.TempDir()
	harmless := 0
	for seed := range uint64(cases) {
		random := rand.New(rand.NewPCG(seed, 2))
		l := newLog(random, 3)
		names := l.save(t, dir, func(int) bool { return true })
		name := names[random.IntN(len(names))]
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := random.IntN(len(content))
		text := uncompressed(content)
		content[at] ^= byte(1 + random.IntN(255))
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		report := verifyFiles(t, names, &l.head)
		switch {
		case report.Sound() && text != "" && uncompressed(content) == text:
			harmless++ // the time in its header, say, or the bits that fill up the last byte
		case report.Sound():
			t.Fatalf("case %d: byte %d of %d is not found", seed, at, len(content))
		case !slices.ContainsFunc(report.Findings, func(f Finding) bool { return f.File == name }):
			t.Fatalf("case %d: %s is not named: %+v", seed, name, report.Findings)
		}
	}
	if harmless == cases {
		t.Error("nothing was found")
	}
}

func TestUntouchedLogsAreSound(t *testing.T) {
	dir := t.TempDir()
	for seed := range uint64(cases) {
		random := rand.New(rand.NewPCG(seed, 3))
		l := newLog(random, 1+random.IntN(5))
		sub := filepath.Join(dir, "log")
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		names := l.save(t, sub, func(int) bool { return random.IntN(2) == 0 })
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		report := verifyFiles(t, names, &l.head)
		expectSound(t, report)
		expectSound(t, verifyFiles(t, names, nil))
		// what retention has left, and each file alone
		kept := l.clone()
		kept.files = kept.files[random.IntN(len(kept.files)):]
		first, err := chain.Parse(kept.files[0][0])
		if err != nil {
			t.Fatal(err)
		}
		kept.head.First = first.Sequence
		expectSound(t, kept.verify(t, &kept.head, never))
		for _, name := range names {
			expectSound(t, verifyFiles(t, []string{name}, nil))
		}
		if t.Failed() {
			t.Fatalf("case %d", seed)
		}
		if err := os.RemoveAll(sub); err != nil {
			t.Fatal(err)
		}
	}
}
