package ollamaadapter

import (
	"math"
	"strconv"
	"sync"
	"time"
)

// pace is how long answers have taken of late. When Ollama's queue is full, a place
// in it becomes free with the next answer that is complete.
type pace struct {
	mu   sync.Mutex
	mean time.Duration
}

const (
	// unknownPace is assumed before the first answer.
	unknownPace = 5 * time.Second
	// longestWait is the most that every SDK waits when it is told to.
	longestWait = time.Minute
)

// add counts an answer.
func (p *pace) add(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mean == 0 {
		p.mean = took
	}
	p.mean += (took - p.mean) / 8
}

// retryAfter is the Retry-After for an upstream that is busy: its own, if it gives
// one in seconds, or else about the time in which it answers.
func (p *pace) retryAfter(own string) string {
	wait := unknownPace
	p.mu.Lock()
	if p.mean > 0 {
		wait = p.mean
	}
	p.mu.Unlock()
	if seconds, err := strconv.Atoi(own); err == nil && seconds >= 0 {
		wait = time.Duration(min(seconds, math.MaxInt32)) * time.Second
	}
	wait = min(max(wait, time.Second), longestWait)
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}
