package realollama

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// progressEvery is how often a running build says that it is still running.
const progressEvery = 15 * time.Second

// optimisation is the compiler flag for llama.cpp and ggml. With less of it the
// build takes as long (-O1) or hardly less (-O0), and at -O0 even a tiny model
// is six times slower.
const optimisation = "-O2"

// checkTools returns an *Unavailable if a tool that the build needs is missing.
func checkTools(ctx context.Context) error {
	if !canBuild {
		return &Unavailable{Reason: "ollama is built on Linux and macOS only; install ollama or set OLLAMA_BIN to a binary"}
	}
	if _, err := exec.LookPath("go"); err != nil {
		return &Unavailable{Reason: "there is no go command to build ollama with; install ollama or set OLLAMA_BIN to a binary"}
	}
	for _, variable := range []string{"CC", "CXX"} {
		out, err := goCommand(ctx, os.TempDir(), "env", variable).Output()
		if err != nil {
			return fmt.Errorf("ask go for the compiler: %w", err)
		}
		compiler := strings.TrimSpace(string(out))
		words := strings.Fields(compiler) // it may carry flags
		if len(words) == 0 {
			return &Unavailable{Reason: "go knows no compiler for " + variable + "; install gcc and g++, or set OLLAMA_BIN to a binary"}
		}
		if _, err := exec.LookPath(words[0]); err != nil {
			return &Unavailable{Reason: fmt.Sprintf(
				"building ollama needs the compiler %q (%s), which is not there; install gcc and g++, or set OLLAMA_BIN to a binary", compiler, variable)}
		}
	}
	return nil
}

// build compiles Ollama and puts the binary at bin in one step, so that no
// other process ever sees half of it.
func build(ctx context.Context, log io.Writer, folder, bin string) error {
	work, err := os.MkdirTemp(filepath.Dir(bin), "build-")
	if err != nil {
		return fmt.Errorf("make a folder to build ollama in: %w", err)
	}
	defer os.RemoveAll(work)

	fmt.Fprintf(log, "realollama: building ollama %s once into %s; this takes some minutes\n", Version, folder)
	began := time.Now()
	// Compiler flags are part of what Go caches by, so the headers must stand
	// at the same place each time for an interrupted build to be continued.
	headers := filepath.Join(folder, "headers")
	if err := writeHeaders(ctx, work, headers); err != nil {
		return err
	}
	flags := fmt.Sprintf("%s %q", optimisation, "-I"+headers)
	cmd := goCommand(ctx, work, "install",
		"-ldflags=-s -w -X=github.com/ollama/ollama/version.Version="+strings.TrimPrefix(Version, "v"),
		"github.com/ollama/ollama@"+Version)
	cmd.Env = append(cmd.Env, "GOBIN="+work, "CGO_ENABLED=1", "CGO_CFLAGS="+flags, "CGO_CXXFLAGS="+flags)
	if err := runLong(ctx, log, cmd, began); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(work, executableName()), bin); err != nil {
		return fmt.Errorf("install the built ollama: %w", err)
	}
	fmt.Fprintf(log, "realollama: built ollama %s in %s\n", Version, time.Since(began).Round(time.Second))
	return nil
}

// goCommand returns a go command that is independent of the module, workspace
// and flags of whoever runs the tests. It runs in dir.
func goCommand(ctx context.Context, dir string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", arguments...)
	cmd.Dir = dir
	// An empty GOFLAGS would mean the one of "go env -w"; -mod=mod is the
	// default outside a module.
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GO111MODULE=on")
	return cmd
}

// runLong runs the build command and reports that it is still running. When
// ctx ends, the command and its compilers are ended.
func runLong(ctx context.Context, log io.Writer, cmd *exec.Cmd, began time.Time) error {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	running, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("start the build of ollama: %w", err)
	}
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-running.done:
			if ctx.Err() != nil {
				return fmt.Errorf("build ollama: %w", context.Cause(ctx))
			}
			if running.err != nil {
				return fmt.Errorf("build ollama: %w; its last output:\n%s", running.err, tail(output.Bytes()))
			}
			return nil
		case <-ctx.Done():
			running.end(0)
			return fmt.Errorf("build ollama: %w; run the tests again to continue with what has been compiled", context.Cause(ctx))
		case <-ticker.C:
			fmt.Fprintf(log, "realollama: still building ollama, %s so far\n", time.Since(began).Round(time.Second))
		}
	}
}
