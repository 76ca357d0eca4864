package lines

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func zip(text string) string {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return zipped.String()
}

func save(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll reads files and tells of each line its file, number, text (or its length) and
// fault.
func readAll(names ...string) (read []string) {
	r := NewReader(names...)
	defer r.Close()
	for {
		line, err := r.Next()
		if err == io.EOF {
			return read
		}
		if err != nil {
			read = append(read, "error: "+err.Error())
			continue
		}
		text := string(line.Text)
		if len(text) > 20 {
			text = fmt.Sprintf("%d bytes", len(text))
		}
		fault := ""
		for _, f := range []error{ErrTooLong, ErrUnfinished, ErrDamaged} {
			if errors.Is(line.Fault, f) {
				fault = " !" + strings.Fields(f.Error())[1]
			}
		}
		read = append(read, fmt.Sprintf("%s:%d %s%s", filepath.Base(line.File), line.Number, text, fault))
	}
}

func TestLinesOfAFile(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	long := fmt.Sprintf("%d bytes", MaxLength)
	const tooLong, unfinished = " !line", " !file"
	for _, test := range []struct {
		name, content string
		want          []string
	}{
		{"an empty file", "", nil},
		{"one line", "a\n", []string{"f:1 a"}},
		{"an empty line", "\n", []string{"f:1 "}},
		{"two lines", "a\nb\n", []string{"f:1 a", "f:2 b"}},
		{"a carriage return belongs to its line", "a\r\n", []string{"f:1 a\r"}},
		{"zeros", "\x00\n", []string{"f:1 \x00"}},
		{"a line without an end", "a\nb", []string{"f:1 a", "f:2 b" + unfinished}},
		{"a line as long as the buffer", x(64<<10) + "\nb\n", []string{"f:1 65536 bytes", "f:2 b"}},
		{"a line one shorter than the buffer", x(64<<10-1) + "\nb\n", []string{"f:1 65535 bytes", "f:2 b"}},
		{"the longest line", x(MaxLength) + "\nb\n", []string{"f:1 " + long, "f:2 b"}},
		{"a line one longer", x(MaxLength+1) + "\nb\n", []string{"f:1 " + tooLong, "f:2 b"}},
		{"a line much longer", x(5*MaxLength+17) + "\nb\n", []string{"f:1 " + tooLong, "f:2 b"}},
		{"two long lines", x(MaxLength+1) + "\n" + x(MaxLength) + "\n", []string{"f:1 " + tooLong, "f:2 " + long}},
		{"a line too long without an end", "a\n" + x(MaxLength+1), []string{"f:1 a", "f:2 " + unfinished}},
		{"the longest line without an end", x(MaxLength), []string{"f:1 " + long + unfinished}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := readAll(save(t, "f", test.content)); !slices.Equal(got, test.want) {
				t.Errorf("plain: %q, want %q", got, test.want)
			}
			if got := readAll(save(t, "f", zip(test.content))); !slices.Equal(got, test.want) {
				t.Errorf("compressed: %q, want %q", got, test.want)
			}
		})
	}
}

func TestDamagedCompressedFiles(t *testing.T) {
	const damaged = " !compressed"
	var text strings.Builder
	for i := range 50_000 { // more than a reader has in its buffers
		fmt.Fprintf(&text, "%d\n", i*i)
	}
	whole := zip(text.String())
	for _, test := range []struct {
		name, content string
		want          string // the last line
		atLeast       int    // lines before it
	}{
		{"nothing in it", "", "f.gz:1 " + damaged, 0},
		{"half a mark", "\x1f", "f.gz:1 " + damaged, 0},
		{"half a header", whole[:5], "f.gz:1 " + damaged, 0},
		{"no compressed file at all", "a\n", "f.gz:1 " + damaged, 0},
		{"half a file", whole[:len(whole)/2], damaged, 10_000},
		{"no checksum", whole[:len(whole)-8], damaged, 50_000},
		{"a wrong checksum", whole[:len(whole)-8] + "12345678", damaged, 50_000},
		{"something behind it", whole + "x", damaged, 50_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := readAll(save(t, "f.gz", test.content))
			if len(got) == 0 || !strings.HasSuffix(got[len(got)-1], test.want) || len(got)-1 < test.atLeast {
				t.Errorf("%d lines, the last %q", len(got), got[max(0, len(got)-1):])
			}
		})
	}
}

func TestFilesAreReadOneAfterTheOther(t *testing.T) {
	a, b := save(t, "a", "1\n2"), save(t, "b.gz", zip("3\n")+zip("4\n")) // of two parts, as cat makes them
	c := filepath.Join(t.TempDir(), "c")
	folder := t.TempDir()
	d := save(t, "d", "5\n")
	got := readAll(a, c, folder, b, d)
	if len(got) != 7 || !strings.Contains(got[2], c) || !strings.Contains(got[3], folder+" is a folder") {
		t.Fatalf("got %q", got)
	}
	got = slices.Delete(got, 2, 4)
	if want := []string{"a:1 1", "a:2 2 !file", "b.gz:1 3", "b.gz:2 4", "d:1 5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestALineWithoutEndTakesNoMemoryWithoutEnd(t *testing.T) {
	r := NewReader(save(t, "f", strings.Repeat("x", 32<<20)+"\n"))
	defer r.Close()
	if line, err := r.Next(); err != nil || !errors.Is(line.Fault, ErrTooLong) || cap(r.long) > 3*MaxLength {
		t.Errorf("%v, %v, it keeps %d bytes", line.Fault, err, cap(r.long))
	}
}

func TestProgressEndsWithTheBytesOnDisk(t *testing.T) {
	text := strings.Repeat(strings.Repeat("x", 99)+"\n", 10_000)
	a, b := save(t, "a", text), save(t, "b.gz", zip(text))
	size := int64(len(text) + len(zip(text)))
	r := NewReader(a, b)
	defer r.Close()
	var told []int64
	r.Progress = func(bytes int64) { told = append(told, bytes) }
	for {
		if _, err := r.Next(); err != nil {
			break
		}
	}
	// the first two bytes of a file are read before anybody is told
	if last := told[len(told)-1]; last > size || last < size-4 || !slices.IsSorted(told) || len(told) < 3 {
		t.Errorf("told %v of %d", told, size)
	}
}

func TestChosenFiles(t *testing.T) {
	chosen, leftOut := Choose([]string{
		"/l/audit.log", "/l/audit.log.head", "/l/audit.log.inflight", "/l/audit.log.lock", "/l/audit.log.shipped", "/l/audit.log.head.tmp",
		"/l/audit.log.cut-20261124T080000.000Z", "/l/x.log", "/l/x.log.gz", "/l/y.log.gz", "/l/y.log.gz.tmp", "/l/./audit.log", "/l/z.log.gz", "/l/z.log",
	})
	if want := []string{"/l/audit.log", "/l/x.log", "/l/y.log.gz", "/l/z.log"}; !slices.Equal(chosen, want) {
		t.Errorf("chosen: %q, want %q", chosen, want)
	}
	if len(leftOut) != 3 {
		t.Errorf("left out: %q", leftOut)
	}
	for _, l := range leftOut {
		if l.Why == "" || l.File == "/l/x.log.gz" && l.Why != "it is a copy of /l/x.log" {
			t.Errorf("%s: %q", l.File, l.Why)
		}
	}
}

// What the reader gives is what there is: joined again it is the file.
func FuzzReader(f *testing.F) {
	f.Add([]byte("a\nb\n"))
	f.Add([]byte("a\n\nb"))
	f.Add([]byte(zip("a\nb\n")))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		name := filepath.Join(dir, fmt.Sprint(os.Getpid()))
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r := NewReader(name)
		defer r.Close()
		var joined []byte
		for n := 1; ; n++ {
			line, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if line.Number != n || len(line.Text) > MaxLength || bytes.ContainsRune(line.Text, '\n') {
				t.Fatalf("line %d after %d: %q", line.Number, n-1, line.Text)
			}
			joined = append(joined, line.Text...)
			if line.Fault == nil {
				joined = append(joined, '\n')
			}
		}
		if !bytes.HasPrefix(content, gzipMagic) && len(content) < MaxLength && !bytes.Equal(joined, content) {
			t.Errorf("read %q of %q", joined, content)
		}
	})
}
