package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// upstreamCommand makes this program the upstream, so that it is a process of its own.
// After it come the address, and the intervals of streams that are held.
const upstreamCommand = "upstream"

const (
	// heldTokens is more than any turn sees; it must not be so many that a stream that
	// nobody ends fills the memory.
	heldTokens = 100_000
	// leaveInterval is between the tokens of streams that clients leave.
	leaveInterval = 50 * time.Millisecond
)

// heldModel is the model whose streams are held, with a token each interval. Its name
// has nothing that a name must not have, such as a µ.
func heldModel(interval time.Duration) string {
	return fmt.Sprintf("held-%dus", interval.Microseconds())
}

// serveUpstream is what the upstream's process does.
func serveUpstream(address string, intervals []string) error {
	models := []ollamatest.FastModel{
		{Name: objectModel, Tokens: objectTokens},
		{Name: briefModel, Tokens: briefTokens},
		{Name: burstModel, Tokens: burstTokens},
		{Name: leaveModel, Tokens: heldTokens, Interval: leaveInterval},
	}
	for _, text := range intervals {
		interval, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		models = append(models, ollamatest.FastModel{Name: heldModel(interval), Tokens: heldTokens, Interval: interval})
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fast := ollamatest.NewFast(models...)
	fast.Began, fast.Left = tell(os.Stdout, beganWord), tell(os.Stdout, leftWord)
	return fast.Serve(listener)
}

// startUpstream starts this program once more.
func (r *rig) startUpstream(o options) (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args := []string{upstreamCommand, address}
	for _, interval := range heldIntervals(o) {
		args = append(args, interval.String())
	}
	cmd := exec.Command(self, args...)
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = write
	upstream, err := start(bare, address, cmd)
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		return nil, err
	}
	r.targets = append(r.targets, upstream)
	r.leavings = readLeavings(read)
	return upstream, nil
}
