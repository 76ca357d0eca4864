package main

import (
	"os"
	"time"
)

// busyTimes are processor times since the machine, or each process, started.
type busyTimes struct {
	at            time.Time
	machine, ours time.Duration
}

// busy is how long the machine has been busy, and how long with the rig.
func (r *rig) busy() (b busyTimes, err error) {
	b.at, b.machine = time.Now(), machineBusy()
	pids := []int{os.Getpid()}
	for _, t := range r.targets {
		pids = append(pids, t.pid())
	}
	for _, pid := range pids {
		had, err := cpuTime(pid)
		if err != nil {
			return b, err
		}
		b.ours += had
	}
	return b, nil
}

// others is the part of the processors that all else had meanwhile: on a quiet machine
// next to none.
func others(before, after busyTimes, cores int) float64 {
	all := after.at.Sub(before.at) * time.Duration(cores)
	theirs := (after.machine - before.machine) - (after.ours - before.ours)
	if all <= 0 {
		return 0
	}
	return max(0, theirs.Seconds()/all.Seconds())
}
