package logfile

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

// tidyEvery is how often old files are looked for where nothing is rotated.
const tidyEvery = 12 * time.Hour

// clean looks after the rotated files: it compresses them, and deletes those that are
// older than the log has to keep.
func (l *Log) clean() {
	defer l.ending.Done()
	for {
		if err := l.compressAll(); err != nil && !errors.Is(err, errStopped) {
			l.Logger().Error("a file of the audit log is not compressed", zap.String("file", l.Path), zap.Error(err))
		}
		if err := l.sweep(time.Now()); err != nil {
			l.Logger().Error("old files of the audit log are not deleted", zap.String("file", l.Path), zap.Error(err))
		}
		timer := time.NewTimer(tidyEvery)
		select {
		case <-l.stop:
			timer.Stop()
			return
		case <-l.tidy:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// compressAll compresses what is not yet. What a crash has interrupted is done again.
func (l *Log) compressAll() error {
	if !l.options.Load().Gzip {
		return nil
	}
	found, err := segments(l.Path)
	for _, s := range found {
		if s.plain {
			err = errors.Join(err, compress(s.name, l.stop))
		}
	}
	return err
}

var errStopped = errors.New("stopped")

// compress replaces a file by a compressed one.
func compress(name string, stop <-chan struct{}) (err error) {
	source, err := os.Open(name)
	if err != nil {
		return err
	}
	defer source.Close()
	temporary := name + ".gz.tmp"
	target, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	zipper := gzip.NewWriter(target)
	zipper.Name = filepath.Base(name)
	_, err = io.Copy(zipper, stoppable{source, stop})
	if err == nil {
		err = zipper.Close()
	}
	if err == nil {
		err = target.Sync() // before the original goes
	}
	if err = errors.Join(err, target.Close()); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	if err := os.Rename(temporary, name+".gz"); err != nil {
		return err
	}
	syncFolder(filepath.Dir(name))
	return os.Remove(name)
}

// stoppable is a reader that ends when it is told to.
type stoppable struct {
	io.Reader
	stop <-chan struct{}
}

func (s stoppable) Read(p []byte) (int, error) {
	select {
	case <-s.stop:
		return 0, errStopped
	default:
		return s.Reader.Read(p)
	}
}

// sweep deletes the files whose newest record is older than the retention. The record
// was written before the next file was opened, whose first line says when that was: it
// is part of the chain, other than a file's own times, which any copy changes.
func (l *Log) sweep(now time.Time) error {
	found, current, unreadable := l.files()
	horizon := now.Add(-l.options.Load().Retention)
	l.tellUnshipped(found, current, horizon)
	old := 0
	for old < len(found) && newest(found, old, current).Before(horizon) {
		old++
	}
	if old == 0 {
		return unreadable
	}
	first := current.sequence
	if old < len(found) {
		first = found[old].first
	}
	// The head goes first: it may promise less than there is, but never more.
	l.head.mu.Lock()
	err := l.writeHeadFrom(first)
	l.head.mu.Unlock()
	if err != nil {
		return errors.Join(unreadable, err)
	}
	for _, s := range found[:old] {
		for _, name := range []string{s.name, s.name + ".gz"} {
			if err := os.Remove(name); err != nil && exists(name) {
				return errors.Join(unreadable, err)
			}
		}
		l.Logger().Info("a file of the audit log was older than its retention and is deleted",
			zap.String("file", s.file()), zap.Uint64("first_sequence", s.first))
	}
	return unreadable
}

// newest is a time after the newest record of a file.
func newest(found []segment, i int, current opened) time.Time {
	end := current.at
	if i+1 < len(found) {
		end = found[i+1].opening.Time
	}
	if began := found[i].opening.Time; began.After(end) {
		return began // a clock that was set back makes nothing older
	}
	return end
}

// files are the rotated files, and how the one after them began.
func (l *Log) files() ([]segment, opened, error) {
	for {
		before := l.current()
		found, err := segments(l.Path)
		if l.current() == before { // or else it was rotated meanwhile
			return found, before, err
		}
	}
}

func (l *Log) current() opened {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}
