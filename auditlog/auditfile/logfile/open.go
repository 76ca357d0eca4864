package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// Open opens the log where it ended, or begins it. What an earlier process has left
// half done is put in order, and what was changed meanwhile is told, to the operator
// and in the log itself.
func Open(c Config) (l *Log, err error) {
	if c.OpenFile == nil {
		c.OpenFile = openFile
	}
	l = &Log{Config: c, wake: make(chan struct{}, 1), grown: make(chan struct{}, 1), tidy: make(chan struct{}, 1), stop: make(chan struct{})}
	l.options.Store(&c.Options)
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
		return nil, err
	}
	if l.lock, err = lock(c.Path + ".lock"); err != nil {
		return nil, err
	}
	if err := l.takeUp(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	l.ending.Add(2)
	go l.keep()
	go l.clean()
	return l, nil
}

// takeUp goes on where the log ended.
func (l *Log) takeUp() error {
	p, err := l.look()
	if err != nil {
		return err
	}
	cut, err := l.cut(p)
	if err != nil {
		return err
	}
	if l.out, err = l.OpenFile(l.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE); err != nil {
		return err
	}
	if err := os.Chmod(l.Path, 0o600); err != nil {
		return err
	}
	l.size = p.live.sound
	l.link = p.last
	l.sequence.Store(l.link.Sequence)
	l.head.first = max(p.first, 1)
	l.begin(p, cut)
	l.closeUnfinished(p)
	refuse := l.options.Load().Refuse
	if trouble := l.Trouble(); trouble != nil && refuse {
		return fmt.Errorf("the audit log cannot be written: %w", trouble)
	}
	l.journal.settle()
	_ = l.syncJournal()
	if err := l.writeHead(); err != nil && refuse {
		return err
	}
	return nil
}

// begin writes the lines that a log begins with when it is opened.
func (l *Log) begin(p *past, cut string) {
	o := l.options.Load()
	switch {
	case p.live.lines > 0:
		l.opened = opened{p.live.first, p.live.opening.Time}
		if l.opened.at.IsZero() { // somebody has taken the line that tells
			l.opened.at = time.Now()
		}
		l.rollAt = midnightAfter(l.opened.at, o.RollDaily)
		l.enter(l.opening(chain.Restarted))
	case len(p.rotated) > 0: // it ended just between two files
		l.enter(l.opening(chain.Rotated))
	default:
		l.enter(l.opening(chain.Created))
	}
	if fault := p.fault(o.SignKey); fault != "" {
		l.Logger().Error("the audit log is not as it was left: keep its files and find out why",
			zap.String("file", l.Path), zap.String("fault", fault))
		note := event(HeadMismatch, fault)
		if p.head != nil {
			note = note.number("labels.head_sequence", p.head.Sequence).text("labels.head_hash", p.head.Hash.String())
		}
		l.enter(note.line())
	}
	if key := keyName(o.SignKey); p.head != nil && p.head.Key != key {
		l.Logger().Warn("the head of the audit log is signed with another key from here on",
			zap.String("file", l.Path), zap.String("before", p.head.Key), zap.String("now", key))
		l.enter(keyChanged(p.head.Key, key))
	}
	if cut != "" {
		l.Logger().Warn("the audit log ended in the middle of a line, which is put aside",
			zap.String("file", l.Path), zap.String("aside", cut))
		l.enter(event(LineCut, "unfinished").text("labels.aside", filepath.Base(cut)).line())
	}
}

// enter writes a line of the log's own. If that fails it is in the log's trouble.
func (l *Log) enter(line []byte) { _, _ = l.add(line) }

// cut puts aside what is at the end of the file and is no line.
func (l *Log) cut(p *past) (aside string, err error) {
	if p.live.size == p.live.sound {
		return "", nil
	}
	content, err := os.ReadFile(l.Path)
	if err != nil {
		return "", err
	}
	aside = l.Path + ".cut-" + time.Now().UTC().Format(stampLayout)
	if err := replaceFile(aside, content[p.live.sound:], true); err != nil {
		return "", err
	}
	return aside, os.Truncate(l.Path, p.live.sound)
}

// closeUnfinished writes the records of requests whose end nobody has seen.
func (l *Log) closeUnfinished(p *past) {
	for _, slot := range p.answered {
		l.End(slot)
	}
	for _, u := range p.unfinished {
		l.enter(u.record())
		l.End(u.slot)
	}
	for _, slot := range p.damaged {
		l.Logger().Error("what is known of a request that was in flight cannot be read",
			zap.String("file", l.Path+".inflight"), zap.Int("slot", slot))
		l.enter(event(JournalUnreadable, "crash").number("labels.slot", uint64(slot)).line())
		l.End(slot)
	}
	if len(p.unfinished) > 0 {
		l.Logger().Warn("requests were in flight when the process died: their records say crash",
			zap.String("file", l.Path), zap.Int("requests", len(p.unfinished)))
	}
}

// Close writes what waits, makes all durable, and lets others have the log.
func (l *Log) Close() error {
	close(l.stop)
	l.ending.Wait()
	l.mu.Lock()
	l.closed = true
	waits := l.backlog.trouble != nil
	l.mu.Unlock()
	if waits {
		if well, _, lost := l.retry(); !well || lost > 0 {
			l.mu.Lock()
			lost += uint64(len(l.backlog.lines)) + l.backlog.lost
			l.mu.Unlock()
			l.Logger().Error("the audit log is closed without the lines that could not be written",
				zap.String("file", l.Path), zap.Uint64("lost", lost), zap.Error(l.Trouble()))
		}
	}
	l.journal.settle()
	return errors.Join(l.syncJournal(), l.writeHead(), l.release())
}

// release closes what is open.
func (l *Log) release() error {
	var errs []error
	if l.out != nil {
		errs = append(errs, l.out.Close())
	}
	if l.journal != nil {
		errs = append(errs, l.journal.file.Close())
	}
	return errors.Join(append(errs, l.lock.Close())...)
}

// isRegular refuses what cannot be renamed and locked: links, pipes, terminals.
func isRegular(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", name)
	}
	return err
}
