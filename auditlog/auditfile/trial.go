package auditfile

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// Try tells whether the files of a configuration get lines that they can take from its
// logger. Caddy tells a writer nothing of its encoder, and the first record would be too
// late to find that the format is none for an audit log. So the encoders are asked what
// they make of an entry; only if one of them is no good, which may be another log's, a
// line is logged to see whether it comes to one of the files.
func (f Files) Try(logger *zap.Logger) error {
	tried := true
	for _, a := range f {
		tried = tried && a.tried
		a.tried = true
	}
	if tried || allFit(logger) {
		return nil
	}
	oneTrial.Lock()
	defer oneTrial.Unlock()
	t := &trial{mark: newID()}
	trying.Store(t)
	defer trying.Store(nil)
	logger.Info("a trial of the format, no record", zap.String("trial", t.mark))
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fault
}

// formats are what the encoders behind a logger make of an entry: they are shown to it
// when they are to add it as a field.
type formats struct{ seen, unfit int }

// allFit tells whether all encoders behind a logger make lines of an audit log.
func allFit(logger *zap.Logger) bool {
	var f formats
	logger.With(zap.Inline(&f))
	return f.seen > 0 && f.unfit == 0
}

func (f *formats) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	f.seen++
	encoder, ok := enc.(zapcore.Encoder)
	if !ok {
		f.unfit++ // as far as can be seen
		return nil
	}
	line, err := encoder.Clone().EncodeEntry(zapcore.Entry{Time: time.Now(), Message: "a trial of the format"}, nil)
	if err != nil {
		f.unfit++
		return nil
	}
	defer line.Free()
	if !fits(line.Bytes()) {
		f.unfit++
	}
	return nil
}

// fits tells whether an audit log can take a line as it is.
func fits(line []byte) bool {
	_, _, err := chain.Link{}.Seal(nil, line)
	return err == nil
}

// trial is a line that is logged to see where it comes, and in what form. An audit file
// judges it and drops it.
type trial struct {
	mark  string // by which it is known, whatever the format
	mu    sync.Mutex
	fault error
}

// trying is the trial that is under way, nil mostly.
var trying atomic.Pointer[trial]

// oneTrial is held during a trial.
var oneTrial sync.Mutex

// isTrial tells whether a line for a file is a trial's, and judges it if so.
func isTrial(file string, line []byte) bool {
	t := trying.Load()
	if t == nil || !bytes.Contains(line, []byte(t.mark)) {
		return false
	}
	if !fits(line) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.fault = fmt.Errorf("audit_file %s: the `format` of its log writes no JSON object in one line, as console does not: use `format ecs` or `format json`", file)
	}
	return true
}
