package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// npmPackages installs the packages of a folder here, such as clients/sdks, once, in the
// user's cache folder, and returns the folder there. Without Node or npm's registry the test
// is skipped, but not in CI.
func npmPackages(t *testing.T, name string, options ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("installs packages from npm; run without -short")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s, which is not here", program)
		}
	}
	dir, err := npmInstall(t.Context(), name, options...)
	if err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("needs packages from npm, which cannot be installed: %v", err)
		}
		t.Fatal(err)
	}
	return dir
}

// npmInstall returns the folder in the user's cache where the packages of a folder here
// are, which may take a few minutes once. No script of a package runs.
func npmInstall(ctx context.Context, name string, options ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum, err := sumOf(name)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "caddy-ollama", strings.ReplaceAll(name, "/", "-")+"-"+sum)
	installed := filepath.Join(dir, "installed")
	if _, err := os.Stat(installed); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil { // what an install left that was broken off
		return "", err
	}
	if err := os.CopyFS(dir, os.DirFS(name)); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", append([]string{"install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"}, options...)...)
	install.Dir = dir
	if output, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install in %s: %w\n%s", dir, err, output)
	}
	return dir, os.WriteFile(installed, nil, 0o600)
}

// sumOf tells the versions of a folder's files apart.
func sumOf(dir string) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		fmt.Fprintf(sum, "%s %d\n%s", path, len(data), data)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:6]), err
}
