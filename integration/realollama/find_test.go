package realollama

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// fakeBinary puts an empty executable file named name into a new folder.
func fakeBinary(t *testing.T, name string) (folder, path string) {
	t.Helper()
	folder = t.TempDir()
	path = filepath.Join(folder, name)
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder, path
}

func TestFindPrefersTheNamedBinary(t *testing.T) {
	_, named := fakeBinary(t, "my-ollama")
	onPath, _ := fakeBinary(t, executableName())
	t.Setenv("OLLAMA_BIN", named)
	t.Setenv("PATH", onPath)
	if got, err := Find(t.Context(), io.Discard); got != named || err != nil {
		t.Errorf("Find is %q, %v; want %q", got, err, named)
	}
}

func TestFindRefusesANamedBinaryThatIsNotThere(t *testing.T) {
	t.Setenv("OLLAMA_BIN", filepath.Join(t.TempDir(), "nothing"))
	_, err := Find(t.Context(), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "OLLAMA_BIN") {
		t.Errorf("error is %v, want one that names OLLAMA_BIN", err)
	}
	if _, skip := errors.AsType[*Unavailable](err); skip {
		t.Error("error is an *Unavailable, but a wrong setting must not skip tests")
	}
}

func TestFindTakesAnInstalledOllama(t *testing.T) {
	folder, installed := fakeBinary(t, executableName())
	t.Setenv("OLLAMA_BIN", "")
	t.Setenv("PATH", folder)
	if got, err := Find(t.Context(), io.Discard); got != installed || err != nil {
		t.Errorf("Find is %q, %v; want %q", got, err, installed)
	}
}

func TestBuildIsDoneOnceAndKept(t *testing.T) {
	folder := t.TempDir()
	bin := filepath.Join(folder, runtime.GOOS+"-"+runtime.GOARCH, executableName())
	if err := os.MkdirAll(filepath.Dir(bin), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bin, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := buildOnce(t.Context(), io.Discard, folder); got != bin || err != nil {
		t.Errorf("buildOnce is %q, %v; want %q", got, err, bin)
	}
}

func TestMissingToolsMakeOllamaUnavailable(t *testing.T) {
	if !canBuild {
		t.Skip("ollama is never built on this system")
	}
	realGo, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command")
	}
	onlyGo := t.TempDir()
	if err := os.Symlink(realGo, filepath.Join(onlyGo, "go")); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, reason string }{
		{"without go there is nothing to build with", t.TempDir(), "no go command"},
		{"without a compiler the reason names gcc and g++", onlyGo, "gcc and g++"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("CC", "")
			t.Setenv("CXX", "")
			t.Setenv("PATH", test.path)
			_, err := buildOnce(t.Context(), io.Discard, t.TempDir())
			unavailable, ok := errors.AsType[*Unavailable](err)
			if !ok || !strings.Contains(unavailable.Reason, test.reason) {
				t.Errorf("error is %v, want an *Unavailable with %q", err, test.reason)
			}
		})
	}
}

func TestLockKeepsOthersOutUntilItIsGivenBack(t *testing.T) {
	if !canBuild {
		t.Skip("there is no file lock on this system")
	}
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), io.Discard, path)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var said strings.Builder
	if _, err := lock(short, &said, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v, want %v", err, context.DeadlineExceeded)
	}
	if !strings.Contains(said.String(), "another process") {
		t.Errorf("waiting said %q, want a word about another process", said.String())
	}
	unlock()
	again, err := lock(t.Context(), io.Discard, path)
	if err != nil {
		t.Fatalf("lock that was given back: %v", err)
	}
	again()
}

func TestTailKeepsTheLastWholeLines(t *testing.T) {
	long := strings.Repeat("a line of the log\n", logTail)
	got := tail([]byte(long))
	if len(got) > logTail || !strings.HasPrefix(got, "a line") || !strings.HasSuffix(got, "log") {
		t.Errorf("tail has %d bytes and starts with %.20q", len(got), got)
	}
	if got := tail([]byte("short\n")); got != "short" {
		t.Errorf("tail of a short log is %q", got)
	}
}
