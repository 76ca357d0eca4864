package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// midnightAfter is when a file that was opened at a time is rotated, zero for never.
func midnightAfter(at time.Time, daily bool) time.Time {
	if !daily {
		return time.Time{}
	}
	return at.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
}

// due tells whether the file is to be rotated. One that holds nothing but its opening
// line is not: days without requests make no files.
func (l *Log) due(now time.Time) bool {
	if l.link.Sequence <= l.opened.sequence || l.backlog.trouble != nil || now.Before(l.rollWait) {
		return false
	}
	return l.size >= l.options.Load().RollSize || !l.rollAt.IsZero() && !now.Before(l.rollAt)
}

func (l *Log) tendRotation() {
	l.mu.Lock()
	due := l.due(time.Now())
	l.mu.Unlock()
	if !due {
		return
	}
	if err := l.rotate(); err != nil {
		l.Logger().Error("the audit log goes on in the same file: it cannot be rotated",
			zap.String("file", l.Path), zap.Error(err))
		return
	}
	select {
	case l.tidy <- struct{}{}:
	default: // it has been told
	}
}

// rotate goes on in a new file. Requests wait only for as long as that takes to open.
func (l *Log) rotate() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	old, last := l.out, l.link.Sequence
	err := l.change()
	if err != nil {
		l.rollWait = time.Now().Add(retryEvery)
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if l.options.Load().durable() {
		if err := old.Sync(); err != nil {
			_ = l.fail(err)
		}
		syncFolder(filepath.Dir(l.Path))
	}
	l.synced.Store(last)
	return old.Close()
}

// change renames the file and opens a new one, or leaves all as it was.
func (l *Log) change() error {
	if err := l.mend(); err != nil {
		return err
	}
	name := l.freeSegmentName()
	if err := os.Rename(l.Path, name); err != nil {
		return err
	}
	out, err := l.OpenFile(l.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return back(name, l.Path, err)
	}
	old, size, opened, rollAt := l.out, l.size, l.opened, l.rollAt
	l.out, l.size = out, 0
	if _, err := l.put(l.opening(chain.Rotated)); err != nil {
		_ = out.Close()
		l.out, l.size, l.opened, l.rollAt, l.torn = old, size, opened, rollAt, false
		return back(name, l.Path, err)
	}
	return nil
}

func back(from, to string, cause error) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("%w; and %s could not be renamed back: %w", cause, from, err)
	}
	return cause
}

// opening is the first line of a new file, or of a new process.
func (l *Log) opening(reason string) []byte {
	now := time.Now()
	if reason != chain.Restarted {
		l.opened = opened{l.link.Sequence + 1, now}
		l.rollAt = midnightAfter(now, l.options.Load().RollDaily)
	}
	return chain.Opening{Time: now, Reason: reason, Previous: l.link.Hash}.Line()
}

// freeSegmentName is a name for the file that ends. Two that began within one
// millisecond get different ones.
func (l *Log) freeSegmentName() string {
	for at := l.opened.at; ; at = at.Add(time.Millisecond) {
		if name := segmentName(l.Path, at); !exists(name) && !exists(name+".gz") {
			return name
		}
	}
}
