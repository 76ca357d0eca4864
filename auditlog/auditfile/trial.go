package auditfile

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// trial is a line that is logged to see what a configuration's logs make of it. Caddy
// tells a writer nothing of its encoder, and the first record would be too late to find
// that the format is none for an audit log. An audit file judges the line and drops it.
type trial struct {
	mark  string // by which it is known, whatever the format
	mu    sync.Mutex
	fault error
}

// trying is the trial that is under way, nil mostly.
var trying atomic.Pointer[trial]

// oneTrial is held during a trial.
var oneTrial sync.Mutex

// Try tells whether the files get lines that they can take, once they have log write one
// with a text that it is given.
func (f Files) Try(log func(text string)) error {
	oneTrial.Lock()
	defer oneTrial.Unlock()
	untried := false
	for _, a := range f {
		untried = untried || !a.tried
		a.tried = true
	}
	if !untried {
		return nil
	}
	t := &trial{mark: newID()}
	trying.Store(t)
	defer trying.Store(nil)
	log(t.mark)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fault
}

// isTrial tells whether a line for a file is a trial's, and judges it if so.
func isTrial(file string, line []byte) bool {
	t := trying.Load()
	if t == nil || !bytes.Contains(line, []byte(t.mark)) {
		return false
	}
	if _, _, err := (chain.Link{}).Seal(nil, line); err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.fault = fmt.Errorf("audit_file %s: the `format` of its log writes no JSON object in one line, as console does not: use `format ecs` or `format json`", file)
	}
	return true
}
