package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the processor time that a process has had, in user and system mode, in all
// its threads. It is exact to the nanosecond, where /proc/<pid>/stat counts hundredths
// of a second, of which a short turn has few.
func cpuTime(pid int) (time.Duration, error) {
	// the number of a process's clock, as clock_getcpuclockid(3) makes it
	const scheduled = 2
	var booked unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &booked); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(booked.Nano()), nil
}
