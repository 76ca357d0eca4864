package realollama

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// lockPoll is how often a waiting process tries to get the lock. The system
// offers no wait for a file lock that a context could end.
const lockPoll = 200 * time.Millisecond

// lock takes the lock file at path, waiting for the process that holds it, and
// returns the function that gives it back. The system drops the lock when its
// holder ends in whatever way, so a file left behind never locks anybody out.
func lock(ctx context.Context, log io.Writer, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the ollama build: %w", err)
	}
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for waiting := false; ; waiting = true {
		taken, err := tryLock(file)
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if taken {
			return func() { file.Close() }, nil // closing gives the lock back
		}
		if !waiting {
			fmt.Fprintln(log, "realollama: another process is building ollama; waiting for it")
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for another process that builds ollama: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
