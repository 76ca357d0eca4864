//go:build !linux

package main

import (
	"errors"
	"time"
)

// cpuTime needs Linux.
func cpuTime(int) (time.Duration, error) {
	return 0, errors.New("only on Linux can the rig ask what another process costs")
}
