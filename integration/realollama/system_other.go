//go:build !linux && !darwin

package realollama

import (
	"errors"
	"os"
	"os/exec"
)

// canBuild is false where this package knows no file lock; Find still takes an
// installed Ollama.
const canBuild = false

func ownGroup(*exec.Cmd) {}

// askGroup does nothing: what is left to do is killGroup's.
func askGroup(int) {}

// killGroup ends the process itself; there is no group to end here.
func killGroup(pid int) {
	if process, err := os.FindProcess(pid); err == nil {
		_ = process.Kill()
	}
}

func tryLock(*os.File) (bool, error) {
	return false, errors.ErrUnsupported
}
