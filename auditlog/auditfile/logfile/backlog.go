package logfile

import (
	"bytes"
	"errors"
	"time"
)

// maxBacklog bounds the lines, in bytes, that wait for the disk.
const maxBacklog = 4 << 20

// retryEvery is how often it is tried whether the log can be written again.
const retryEvery = time.Second

// backlog is what waits while the log cannot be written.
type backlog struct {
	trouble error // why; nil if it can be written
	unfit   error // what is wrong with the format of the last line
	lines   [][]byte
	size    int
	slots   []int  // of requests that have ended, and whose records wait
	late    uint64 // lines that have waited and are written
	lost    uint64
	// since the log was opened
	lostEver uint64
	retryAt  time.Time
}

func (b *backlog) begin(trouble error) {
	if b.trouble == nil {
		b.trouble = trouble
		b.retryAt = time.Now().Add(retryEvery)
	}
}

var errBacklogFull = errors.New("the audit log cannot be written, and too much waits already: the line is lost")

// keep keeps a line until it can be written.
func (b *backlog) keep(line []byte) error {
	if b.size+len(line) > maxBacklog {
		b.lost++
		b.lostEver++
		return errBacklogFull
	}
	b.size += len(line)
	b.lines = append(b.lines, bytes.Clone(line))
	return nil
}

// retry writes what waits, in its order. If all is well again it tells how many lines
// came late and how many were lost.
func (l *Log) retry() (well bool, late, lost uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.backlog
	b.retryAt = time.Now().Add(retryEvery)
	for len(b.lines) > 0 {
		var err error
		if b.unfit, err = l.put(b.lines[0]); err != nil {
			b.trouble = err
			return false, 0, 0
		}
		b.late++
		b.size -= len(b.lines[0])
		b.lines = b.lines[1:]
	}
	note := event(WriteResumed, b.trouble.Error()).number("labels.late", b.late).number("labels.lost", b.lost)
	if _, err := l.put(note.line()); err != nil {
		b.trouble = err
		return false, 0, 0
	}
	if l.options.Load().durable() {
		if err := l.out.Sync(); err != nil {
			b.trouble = err
			return false, 0, 0
		}
		l.synced.Store(l.link.Sequence)
	}
	for _, slot := range b.slots {
		l.journal.end(slot)
	}
	late, lost = b.late, b.lost
	b.trouble, b.lines, b.slots, b.late, b.lost = nil, nil, nil, 0, 0
	return true, late, lost
}
