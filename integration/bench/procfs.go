package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tickLength is the unit of /proc/<pid>/stat: USER_HZ is 100 on all Linux that Go runs on.
const tickLength = 10 * time.Millisecond

// usage is what the operating system has booked on a process.
type usage struct {
	cpu      time.Duration // user and system, of all threads
	resident int64         // bytes
}

// usageOf needs Linux.
func usageOf(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("what a process costs is read from Linux's /proc: %w", err)
	}
	return parseStat(string(stat), int64(os.Getpagesize()))
}

// parseStat reads /proc/<pid>/stat (proc_pid_stat(5)): utime and stime are fields 14
// and 15, rss is 24. The second, the program's name, may hold spaces and parentheses.
func parseStat(stat string, pageSize int64) (usage, error) {
	_, rest, found := cutLast(stat, ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 22 {
		return usage{}, fmt.Errorf("%q is no line of /proc/<pid>/stat", stat)
	}
	var n [3]int64
	for i, field := range []int{14, 15, 24} {
		var err error
		if n[i], err = strconv.ParseInt(fields[field-3], 10, 64); err != nil {
			return usage{}, fmt.Errorf("field %d of /proc/<pid>/stat: %w", field, err)
		}
	}
	return usage{cpu: time.Duration(n[0]+n[1]) * tickLength, resident: n[2] * pageSize}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// loadAverage is that of the last minute, or nothing where there is no /proc.
func loadAverage() string {
	data, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(data), " ")
	return first
}
