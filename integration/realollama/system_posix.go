//go:build linux || darwin

package realollama

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// canBuild says whether Ollama can be built here: that needs a file lock and
// process groups.
const canBuild = true

// ownGroup makes cmd the head of a new process group.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
}

// askGroup asks all processes of a group to end.
func askGroup(pid int) {
	// The only error to expect is that none is left.
	_ = syscall.Kill(-pid, syscall.SIGTERM)
}

// killGroup ends all processes of a group that are left.
func killGroup(pid int) {
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

// tryLock takes the lock of an open file if no other process has it.
func tryLock(file *os.File) (bool, error) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
