// Package logfile is an audit log in files: lines that are chained to each other (see
// package chain), with files that are rotated, compressed and kept for as long as they
// must be, and a journal of the requests that have begun and not ended, so that a
// process that dies leaves a record of each.
//
// Beside the log's file, here audit.log, there are
//
//	audit-20260102T000000.000Z.log.gz  files that were rotated, named after their beginning
//	audit.log.head                     how far the log has come, signed
//	audit.log.inflight                 the requests in flight
//	audit.log.shipped                  how far the log was shipped, if it is
//	audit.log.lock                     held by the process that writes
//	audit.log.cut-<time>               what was at the end of the file and is no line
package logfile

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// Options are what may change while the log is open.
type Options struct {
	RollSize  int64 // a file is rotated when it has so many bytes
	RollDaily bool  // and at midnight UTC
	Gzip      bool  // compress rotated files
	Retention time.Duration
	// FsyncEach makes every line durable before Write returns; Fsync makes those of
	// an interval durable together. With neither it is left to the system.
	FsyncEach bool
	Fsync     time.Duration
	SignKey   ed25519.PrivateKey // signs the head; may be nil
	Refuse    bool               // let no request begin while the log cannot be written
	Shipped   bool               // lines that are deleted should have been shipped: see NoteShipped
}

// durable tells whether it is up to the log to make lines durable.
func (o *Options) durable() bool { return o.FsyncEach || o.Fsync > 0 }

// Config is what a log is opened with.
type Config struct {
	Path    string
	Options Options // see SetOptions
	// Logger is asked for whenever there is something to tell the operator.
	Logger func() *zap.Logger
	// OpenFile opens the files that are written. It may be nil.
	OpenFile func(name string, flag int) (File, error)
}

// Log is an open audit log.
type Log struct {
	Config
	options atomic.Pointer[Options]
	lock    *os.File
	journal *journal

	// syncing is held while a file is made durable or changed for the next one. Where
	// mu is needed too, it is taken after it.
	syncing       sync.Mutex
	synced        atomic.Uint64 // number of the last line that is durable
	syncedJournal atomic.Uint64

	mu       sync.Mutex // guards the rest
	closed   bool
	out      File
	size     int64 // of out, up to the end of the last whole line
	torn     bool  // there is half a line behind that
	buf      []byte
	link     chain.Link
	opened   opened
	rollAt   time.Time // midnight
	rollWait time.Time // after a rotation that failed
	awake    bool      // the keeper knows that there is something to do
	backlog  backlog
	sequence atomic.Uint64 // that of link, for who does not hold mu

	head   headKeeper
	wake   chan struct{}
	grown  chan struct{} // see Grown
	stop   chan struct{}
	tidy   chan struct{} // there are rotated files to look after
	ending sync.WaitGroup
}

// opened is how the current file began.
type opened struct {
	sequence uint64
	at       time.Time
}

// ErrClosed is returned by a log that has been closed.
var ErrClosed = errors.New("the audit log is closed")

// SetOptions changes the options from now on.
func (l *Log) SetOptions(o Options) {
	before := l.options.Swap(&o)
	if b, a := keyName(before.SignKey), keyName(o.SignKey); b != a {
		l.enter(keyChanged(b, a))
	}
	l.mu.Lock()
	l.rollAt = midnightAfter(l.opened.at, o.RollDaily)
	l.backlog.unfit = nil // who changes options may have changed the format as well
	l.nudge()
	l.mu.Unlock()
}

// Write seals a line and appends it to the file. While the file cannot be written the
// line is kept, and written later.
func (l *Log) Write(line []byte) (int, error) {
	sequence, err := l.add(line)
	if err == nil && sequence > 0 && l.options.Load().FsyncEach {
		err = l.syncTo(sequence)
	}
	if err != nil {
		return 0, err
	}
	return len(line), nil
}

// add appends a line and returns its number, or zero if it has to wait.
func (l *Log) add(line []byte) (sequence uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, ErrClosed
	}
	defer l.nudge()
	if l.backlog.trouble != nil {
		return 0, l.backlog.keep(line)
	}
	unfit, err := l.put(line)
	if err != nil {
		l.backlog.begin(err)
		return 0, l.backlog.keep(line)
	}
	l.backlog.unfit = unfit
	return l.link.Sequence, unfit
}

// put writes one line, whole or not at all. One that is no JSON object is written too, as
// a text within one, but it is unfit: nobody will find in it what is searched.
func (l *Log) put(line []byte) (unfit, err error) {
	sealed, next, unfit := l.link.Seal(l.buf[:0], line)
	if unfit != nil {
		line = event(LineUnfit, unfit.Error()).text("message", string(line)).line()
		if sealed, next, err = l.link.Seal(l.buf[:0], line); err != nil {
			return nil, err
		}
	}
	return unfit, l.append(sealed, next)
}

// append writes a sealed line, whole or not at all.
func (l *Log) append(sealed []byte, next chain.Link) error {
	if l.buf = sealed; cap(l.buf) > 64<<10 {
		l.buf = nil // one long line does not keep its room for ever
	}
	if err := l.mend(); err != nil {
		return err
	}
	n, err := l.out.Write(sealed)
	if err == nil && n < len(sealed) {
		err = io.ErrShortWrite
	}
	if err != nil {
		l.torn = true
		_ = l.mend() // or else before the next line
		return err
	}
	l.size += int64(len(sealed))
	l.link = next
	l.sequence.Store(next.Sequence)
	select {
	case l.grown <- struct{}{}:
	default: // it has been told
	}
	return nil
}

// mend removes half a line.
func (l *Log) mend() error {
	if !l.torn {
		return nil
	}
	if err := l.out.Truncate(l.size); err != nil {
		return fmt.Errorf("removing half a line: %w", err)
	}
	l.torn = false
	return nil
}

// nudge tells the keeper that there is something to do.
func (l *Log) nudge() {
	if l.awake && !l.due(time.Now()) {
		return
	}
	l.awake = true
	select {
	case l.wake <- struct{}{}:
	default: // it has been told
	}
}

// syncTo makes the lines up to a number durable. Who comes while another one does it
// waits, and then often has nothing left to do.
func (l *Log) syncTo(sequence uint64) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.synced.Load() >= sequence {
		return nil
	}
	l.mu.Lock()
	out, written := l.out, l.link.Sequence
	l.mu.Unlock()
	if err := out.Sync(); err != nil {
		return l.fail(err)
	}
	l.synced.Store(written)
	return nil
}

// syncJournal makes the requests that have begun durable.
func (l *Log) syncJournal() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	change := l.journal.changes()
	if l.syncedJournal.Load() >= change {
		return nil
	}
	if err := l.journal.sync(); err != nil {
		return l.fail(err)
	}
	l.syncedJournal.Store(change)
	return nil
}

// fail notes that the log cannot be written.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.backlog.begin(err)
	l.nudge()
	return err
}

// Begin tells the log that a request begins. Its end takes the slot. An error means that
// the request must not go on. A slot of -1 is none.
func (l *Log) Begin(r Request) (slot int, err error) {
	o := l.options.Load()
	if err := l.Trouble(); err != nil && o.Refuse {
		return -1, err
	}
	r.After = l.sequence.Load()
	slot, err = l.journal.begin(&r)
	if err == nil && o.FsyncEach {
		if err = l.syncJournal(); err != nil {
			l.journal.end(slot)
		}
	}
	if err != nil {
		err = l.fail(err)
		if !o.Refuse {
			err = nil
		}
		return -1, err
	}
	l.mu.Lock()
	l.nudge()
	l.mu.Unlock()
	return slot, nil
}

// End tells the log that a request has ended and that its record was written.
func (l *Log) End(slot int) {
	if slot < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.backlog.trouble != nil {
		l.backlog.slots = append(l.backlog.slots, slot) // until its record really is written
		return
	}
	l.journal.end(slot)
	l.nudge()
}

// Trouble is why the log cannot be written, nil if it can.
func (l *Log) Trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.backlog.trouble != nil {
		return l.backlog.trouble
	}
	return l.backlog.unfit
}

// Sequence is the number of the last line.
func (l *Log) Sequence() uint64 { return l.sequence.Load() }

// Lost is how many lines could not be kept until the log could be written again.
func (l *Log) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.backlog.lostEver
}
