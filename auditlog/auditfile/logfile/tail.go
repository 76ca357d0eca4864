package logfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// Tail reads the lines of an open log after a place, from file to file, also while they are
// written, rotated and compressed. Nobody who writes waits for it. It is for one goroutine.
type Tail struct {
	log  *Log
	at   chain.Link // the line that was read last
	part *part      // the file that is read, nil between files
	done uint64     // number of the first line of the rotated file that was read to its end
}

// Found is a line that a Tail has come to.
type Found struct {
	chain.Link
	Text []byte // the line without its line break, valid until the next call
	// Missing is how many lines should be before it and are not there any more.
	Missing uint64
	// Fault is why it is not the line that was written after the one before, or nil.
	Fault error
}

// ErrNoLine is that of something in a file that is no line. The next call goes on behind it.
var ErrNoLine = errors.New("a part of the audit log cannot be read")

// Tail reads the lines after a place.
func (l *Log) Tail(after chain.Link) *Tail { return &Tail{log: l, at: after} }

// Grown is told when lines were written since it was told last. It is for one goroutine.
func (l *Log) Grown() <-chan struct{} { return l.grown }

// Next is the next line. While there is none the error is io.EOF.
func (t *Tail) Next() (Found, error) {
	for {
		if t.part == nil {
			if err := t.open(); err != nil {
				return Found{}, err
			}
		}
		raw, err := t.part.lines.next()
		if err == io.EOF {
			if t.part.live != nil && !t.part.renamed(t.log.Path) {
				return Found{}, io.EOF
			}
			t.leave() // if lines came before it was renamed, it is opened again
			continue
		}
		if err != nil {
			name := t.part.name
			t.leave()
			return Found{}, fmt.Errorf("%w: %s, after line %d: %w", ErrNoLine, name, t.at.Sequence, err)
		}
		line, err := chain.Parse(raw)
		if err == nil && line.Sequence <= t.at.Sequence {
			t.part.take(raw)
			continue // it was read before
		}
		found := Found{Link: line.Link, Text: raw[:len(raw)-1]}
		if err == nil && line.Sequence == t.at.Sequence+1 {
			found.Fault = line.Follows(t.at)
		}
		if (err != nil || found.Fault != nil) && t.part.again() {
			continue
		}
		t.part.take(raw)
		if err != nil {
			return Found{}, fmt.Errorf("%w: %s, after line %d: %w", ErrNoLine, t.part.name, t.at.Sequence, err)
		}
		found.Missing = line.Sequence - t.at.Sequence - 1
		t.at = line.Link
		return found, nil
	}
}

// Close lets go of the file that is read.
func (t *Tail) Close() {
	if t.part != nil {
		_ = t.part.closer.Close()
		t.part = nil
	}
}

// leave is the end of a file.
func (t *Tail) leave() {
	if t.part.live == nil {
		t.done = t.part.first
	}
	t.Close()
}

// open opens the file with the line after the last one, or if that is gone the next file.
func (t *Tail) open() error {
	for {
		rotated, current, unreadable := t.log.files()
		if unreadable != nil {
			t.log.Logger().Error("a file of the audit log cannot be read", zap.String("file", t.log.Path), zap.Error(unreadable))
		}
		if s := t.choose(rotated, current); s != nil {
			reader, err := s.open()
			if err != nil {
				return err
			}
			t.part = &part{name: s.file(), first: s.first, closer: reader}
			t.part.lines.Reader = bufio.NewReaderSize(reader, 64<<10)
			return nil
		}
		file, err := os.Open(t.log.Path)
		if err != nil {
			return err
		}
		if t.log.current() != current { // it was rotated meanwhile
			_ = file.Close()
			continue
		}
		t.part = &part{name: t.log.Path, first: current.sequence, closer: file, live: file}
		t.part.lines.Reader = bufio.NewReaderSize(file, 64<<10)
		return nil
	}
}

// choose is the rotated file to read, nil for the log's own.
func (t *Tail) choose(rotated []segment, current opened) *segment {
	next := t.at.Sequence + 1
	if current.sequence <= next {
		return nil
	}
	behind := 0 // the first one that begins after that line
	for behind < len(rotated) && rotated[behind].first <= next {
		behind++
	}
	if behind > 0 && rotated[behind-1].first != t.done {
		return &rotated[behind-1]
	}
	if behind < len(rotated) {
		return &rotated[behind]
	}
	return nil
}

// part is one file of a log that is read.
type part struct {
	name   string
	first  uint64
	closer io.Closer
	lines  lineReader
	live   *os.File // nil if it was rotated when it was opened
	offset int64    // of live: how far it has been read
	tried  bool     // the line at offset was read before, and was none
}

// take makes a line one that was read.
func (p *part) take(raw []byte) {
	p.offset += int64(len(raw))
	p.tried = false
}

// again reads a line once more if that may help: its beginning may have been read, as the
// file's end, before all of it was there; or half a line that was removed again, because the
// disk was full, together with the end of the one in its place.
func (p *part) again() bool {
	if p.live == nil || p.tried {
		return false
	}
	p.tried = true
	_, _ = p.live.Seek(p.offset, io.SeekStart) // of a regular file it never fails
	p.lines.Reset(p.live)
	return true
}

// renamed tells whether the log goes on in another file.
func (p *part) renamed(path string) bool {
	mine, err := p.live.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(mine, now)
}
