package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/integration/realollama"
	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// workDir is removed when all tests have ended. Its path is short, because there
// are Unix sockets in it.
var workDir string

func TestMain(m *testing.M) {
	if order := os.Getenv(clientProcess); order != "" {
		fmt.Fprintln(os.Stderr, beClient(order))
		os.Exit(1)
	}
	var err error
	if workDir, err = os.MkdirTemp("", "gw"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	stopOllama()
	_ = os.RemoveAll(workDir)
	os.Exit(code)
}

// gatewayBinary is the gateway under test: the one that CADDY_OLLAMA_BIN names,
// or else one that is built once. If the tests look for data races, so does that
// one: its harness fails the test on a report.
var gatewayBinary = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("CADDY_OLLAMA_BIN"); given != "" {
		return given, nil
	}
	if err := lookAtSources(); err != nil {
		return "", err
	}
	binary := filepath.Join(workDir, "caddy")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "github.com/gateway18789/caddy-ollama/cmd/caddy")...)
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %w\n%s", err, output)
	}
	return binary, nil
})

// lookAtSources opens all folders of the module. So go test, which keeps a result for as
// long as what the test has opened stays the same, runs it anew when the gateway changes.
func lookAtSources() error {
	return filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != ".." {
			return filepath.SkipDir
		}
		return err
	})
}

// binary is the path of the gateway's binary.
func binary(t *testing.T) string {
	t.Helper()
	path, err := gatewayBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var sharedOllama struct {
	once   sync.Once
	server *realollama.Server
	err    error
}

// realOllama is an Ollama with the scripted models, shared by all tests. Without
// one the test is skipped, and says why.
func realOllama(t *testing.T) *realollama.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real Ollama, which takes minutes to build once; run without -short")
	}
	sharedOllama.once.Do(func() { sharedOllama.server, sharedOllama.err = startOllama(t) })
	if unavailable, ok := errors.AsType[*realollama.Unavailable](sharedOllama.err); ok {
		t.Skip(unavailable.Reason)
	}
	if sharedOllama.err != nil {
		t.Fatal(sharedOllama.err)
	}
	return sharedOllama.server
}

func startOllama(t *testing.T) (*realollama.Server, error) {
	ctx := context.Background() // the server outlives the test that starts it
	if deadline, ok := t.Deadline(); ok {
		// leave the time to end what was started before `go test` ends this process
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-30*time.Second))
		defer cancel()
	}
	bin, err := realollama.Find(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(workDir, "ollama")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return realollama.Start(ctx, bin, dir, scriptedmodel.All()...)
}

func stopOllama() {
	if sharedOllama.server != nil {
		sharedOllama.server.Close()
	}
}
