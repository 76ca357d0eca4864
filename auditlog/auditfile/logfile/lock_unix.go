//go:build unix

package logfile

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockPatience is how long a process that is just ending may take to let go.
const lockPatience = 2 * time.Second

// lock makes sure that no other process writes the log, as long as the file it returns
// is open. The lock dies with the process, however that ends.
func lock(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) || time.Since(start) > lockPatience {
			break
		}
	}
	if err != nil {
		holder, _ := os.ReadFile(name)
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another process (%s) writes this audit log: stop that one, or give this one a file of its own",
				strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	// for whoever meets the lock
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte("pid "+strconv.Itoa(os.Getpid())+"\n"), 0)
	return file, nil
}
