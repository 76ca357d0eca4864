package main

import (
	"os"
	"testing"
	"time"
)

func TestParseStatm(t *testing.T) {
	for name, c := range map[string]struct {
		statm string
		want  int64
		ok    bool
	}{
		"the second field is resident pages": {"30000 1000 800 20 0 5000 0\n", 4096000, true},
		"a line that is cut short":           {"30000", 0, false},
		"a word in place of a number":        {"30000 some 800", 0, false},
		"nothing":                            {"", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStatm(c.statm, 4096)
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("%d, %v, want %d", got, err, c.want)
			}
		})
	}
}

func TestParseMachineStat(t *testing.T) {
	for name, c := range map[string]struct {
		stat string
		want time.Duration
	}{
		"all but idle and iowait, and no guest twice": {"cpu  1 2 4 1000 2000 8 16 32 5000 6000\ncpu0 9 9 9 9 9 9 9 9 9 9\n", 630 * time.Millisecond},
		"nothing where there is no such file":         {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parseMachineStat(c.stat); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestProcessorTimeIsThatOfTheProcess(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Skip(err)
	}
	for now := before; now < before+time.Millisecond; { // ends only if the clock goes on by work
		if now, err = cpuTime(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cpuTime(1 << 22); err == nil { // more than Linux's highest
		t.Error("a process that there is not has had processor time")
	}
}
