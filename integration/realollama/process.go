package realollama

import (
	"os/exec"
	"runtime"
	"time"
)

// process is a running command with everything it starts in turn.
type process struct {
	pid  int
	done chan struct{} // closed when the command and its group have ended
	err  error         // how it ended; to be read once done is closed
}

// startProcess starts cmd as the head of a process group of its own.
//
// On Linux the command gets a signal if the test process dies first, for
// instance because "go test" ends it after its timeout; else an Ollama would
// run on forever. The kernel sends that signal when the starting thread ends,
// so a goroutine keeps its thread until the command is done.
func startProcess(cmd *exec.Cmd) (*process, error) {
	ownGroup(cmd)
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
		killGroup(p.pid) // what the command left behind, such as a runner after a crash
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// end asks the whole group to end, gives it the grace time, and then ends what
// is left of it. It returns when the command has ended, and may be called again.
func (p *process) end(grace time.Duration) {
	if p.ended() {
		return
	}
	askGroup(p.pid)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		killGroup(p.pid)
		<-p.done
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
