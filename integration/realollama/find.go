package realollama

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Version is the Ollama version that Find builds and the scripted models were
// tried with.
const Version = "v0.17.4"

// Find returns the path of an Ollama binary: the one that the environment
// variable OLLAMA_BIN names, else "ollama" from PATH, else one that it builds
// once and keeps in the user's cache folder. Building takes minutes, so log
// (usually os.Stderr) is told about it while it goes on. Only the last is
// certain to be of the right Version; the others are taken as they are.
//
// The error is an *Unavailable if the machine cannot build Ollama. An OLLAMA_BIN
// that is no file, a failed build and an ended ctx are errors of another type:
// whoever set up the machine should hear of them. A build that was cut short
// goes on where it ended when Find is called again, because Go keeps what has
// been compiled.
func Find(ctx context.Context, log io.Writer) (string, error) {
	if bin := os.Getenv("OLLAMA_BIN"); bin != "" {
		if !isFile(bin) {
			return "", fmt.Errorf("OLLAMA_BIN is %q, which is no file: correct it, or unset it to let ollama be found or built", bin)
		}
		return bin, nil
	}
	if bin, err := exec.LookPath("ollama"); err == nil {
		return bin, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for a built ollama: %w; set OLLAMA_BIN or install ollama", err)
	}
	folder := filepath.Join(cache, "caddy-ollama", "ollama-"+Version)
	return buildOnce(ctx, log, folder)
}

// buildOnce returns the binary kept in folder, building it first if it is not
// there. Test processes that run at the same time wait for one of them to build.
func buildOnce(ctx context.Context, log io.Writer, folder string) (string, error) {
	// A home folder may be shared by machines of different kinds.
	bin := filepath.Join(folder, runtime.GOOS+"-"+runtime.GOARCH, executableName())
	if isFile(bin) {
		return bin, nil
	}
	if err := checkTools(ctx); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(bin), 0o755); err != nil {
		return "", fmt.Errorf("make a folder for ollama: %w", err)
	}
	unlock, err := lock(ctx, log, filepath.Join(folder, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if isFile(bin) { // another process built it meanwhile
		return bin, nil
	}
	if err := build(ctx, log, folder, bin); err != nil {
		return "", err
	}
	return bin, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func executableName() string {
	if runtime.GOOS == "windows" {
		return "ollama.exe"
	}
	return "ollama"
}
