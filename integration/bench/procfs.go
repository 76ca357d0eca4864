package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// residentOf is how many bytes of memory a process has. It needs Linux.
func residentOf(pid int) (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	return parseStatm(string(statm), int64(os.Getpagesize()))
}

// parseStatm reads /proc/<pid>/statm (proc_pid_statm(5)), whose second field is the
// number of resident pages.
func parseStatm(statm string, pageSize int64) (int64, error) {
	fields := strings.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("%q is not what /proc/<pid>/statm has", statm)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("resident pages in /proc/<pid>/statm: %w", err)
	}
	return pages * pageSize, nil
}

// machineBusy is how long all processors together were not idle since the machine
// started, or 0 where there is no /proc.
func machineBusy() time.Duration {
	stat, _ := os.ReadFile("/proc/stat")
	return parseMachineStat(string(stat))
}

// parseMachineStat adds up the first line of /proc/stat (proc_stat(5)): user, nice,
// system, not idle, not iowait, irq, softirq, steal. What guests had is in user already.
func parseMachineStat(stat string) (busy time.Duration) {
	// USER_HZ is 100 on all Linux that Go runs on
	const tick = 10 * time.Millisecond
	line, _, _ := strings.Cut(stat, "\n")
	for i, field := range strings.Fields(line) {
		switch i {
		case 1, 2, 3, 6, 7, 8:
			n, _ := strconv.ParseInt(field, 10, 64)
			busy += time.Duration(n) * tick
		}
	}
	return busy
}

// loadAverage is that of the last minute, or nothing where there is no /proc.
func loadAverage() string {
	data, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(data), " ")
	return first
}
