// Package shipper sends the lines of an audit log to Logstash. The log is the queue: what
// has not been acknowledged is read from its files again, also after a restart, and nobody
// who writes waits. So every line arrives, in order, but after a break some may arrive
// twice: by the id that each has, its hash, whoever stores them knows them again.
package shipper

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"
	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/lumberjack"
	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// Options are where lines are sent.
type Options struct {
	// Receiver is how it is called in messages to the operator.
	Receiver string
	// Dial connects to it.
	Dial func(context.Context) (net.Conn, error)
	// Logger is asked for whenever there is something to tell the operator.
	Logger func() *zap.Logger
	// Failed is called for each attempt that failed. It may be nil.
	Failed func()
}

const (
	// patience is how long Logstash may be silent. While it is busy it shows a sign of life
	// every few seconds.
	patience = 30 * time.Second
	// idle is how long a connection is kept without use. Logstash ends them after 60 s.
	idle = 30 * time.Second
	// noteEvery is how often the position is noted at most.
	noteEvery = time.Second
	// How long it waits after a failure: about the first at first, twice as long each time,
	// up to the second.
	firstPause   = time.Second
	longestPause = time.Minute
)

// Shipper ships one log.
type Shipper struct {
	Options
	log  *logfile.Log
	tail *logfile.Tail
	sent atomic.Uint64 // number of the last line that was acknowledged

	at     chain.Link // the last line that was acknowledged
	noted  chain.Link // the position in its file
	noteAt time.Time  // when it may be noted again
	unsure bool       // nobody has seen yet that the position is one of this log
	batch  batch
	conn   *lumberjack.Conn // nil while there is no connection
	hangUp func() bool      // lets the connection outlive the context
	used   time.Time        // when it was used last

	trouble  bool // the operator knows of it
	failures int  // in a row

	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Start ships a log until it is stopped, which must be before the log is closed.
func Start(log *logfile.Log, o Options) *Shipper {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Shipper{Options: o, log: log, cancel: cancel}
	s.takeUp()
	s.work.Go(func() { s.run(ctx) })
	return s
}

// Stop ends shipping. What is not acknowledged by now is sent by the next one.
func (s *Shipper) Stop() {
	s.cancel()
	s.work.Wait()
}

// Lag is how many lines have not been acknowledged.
func (s *Shipper) Lag() uint64 {
	sent := s.sent.Load()
	return max(s.log.Sequence(), sent) - sent
}

// takeUp goes on where an earlier one has ended.
func (s *Shipper) takeUp() {
	at, err := s.log.Shipped()
	if err == nil && at.Sequence > s.log.Sequence() {
		err = errors.New("the log has fewer lines than were shipped: it is another one")
	}
	s.begin(at)
	if err != nil {
		s.restart(err)
	}
}

func (s *Shipper) begin(at chain.Link) {
	s.at, s.noted, s.unsure = at, at, at.Sequence > 0
	s.sent.Store(at.Sequence)
	s.tail = s.log.Tail(at)
}

// restart sends all lines, because how far it had come cannot be known.
func (s *Shipper) restart(why error) {
	s.Logger().Warn("all of the audit log is shipped again: how far it was is not known",
		zap.String("file", s.log.Path), zap.Error(why))
	s.tail.Close()
	s.begin(chain.Link{})
}

func (s *Shipper) run(ctx context.Context) {
	defer s.tail.Close()
	defer s.note()
	defer s.close()
	for ctx.Err() == nil {
		err := s.fill()
		if len(s.batch.objects) > 0 {
			err = errors.Join(err, s.send(ctx))
		}
		if ctx.Err() != nil {
			return
		}
		s.tell(err)
		switch {
		case err != nil:
			s.note() // before a long wait
			s.rest(ctx, nil, pauseAfter(s.failures))
		case len(s.batch.objects) == 0 && !s.batch.full:
			s.rest(ctx, s.log.Grown(), s.agenda())
		}
		if now := time.Now(); !now.Before(s.noteAt) {
			s.note()
		}
		if s.conn != nil && time.Since(s.used) >= idle {
			s.close()
		}
	}
}

// agenda is how long nothing is to do unless lines come.
func (s *Shipper) agenda() time.Duration {
	pause := time.Hour
	if s.at != s.noted {
		pause = min(pause, time.Until(s.noteAt))
	}
	if s.conn != nil {
		pause = min(pause, time.Until(s.used.Add(idle)))
	}
	return max(pause, 0)
}

// send sends the lines that wait.
func (s *Shipper) send(ctx context.Context) error {
	if s.conn == nil {
		conn, err := s.Dial(ctx)
		if err != nil {
			return err
		}
		s.hangUp = context.AfterFunc(ctx, func() { _ = conn.Close() })
		s.conn = lumberjack.New(conn, patience)
	}
	acknowledged, err := s.conn.Send(s.batch.objects)
	s.used = time.Now()
	if acknowledged > 0 {
		s.failures = 0
		s.at = s.batch.take(acknowledged)
		s.sent.Store(s.at.Sequence)
	}
	if err != nil {
		s.close()
	}
	return err
}

func (s *Shipper) close() {
	if s.conn != nil {
		s.hangUp()
		_ = s.conn.Close()
		s.conn = nil
	}
}

// note notes the position.
func (s *Shipper) note() {
	if s.at == s.noted {
		return
	}
	s.noteAt = time.Now().Add(noteEvery)
	if err := s.log.NoteShipped(s.at); err != nil {
		s.Logger().Error("how far the audit log was shipped cannot be noted: after a restart lines would be sent again",
			zap.String("file", s.log.Path), zap.Error(err))
		s.noteAt = time.Now().Add(longestPause)
		return
	}
	s.noted = s.at
}

// tell counts failures, and tells the operator when trouble begins and when it is over.
func (s *Shipper) tell(err error) {
	if err == nil {
		s.failures = 0
	} else {
		s.failures++
		if s.Failed != nil {
			s.Failed()
		}
	}
	switch {
	case err != nil && !s.trouble:
		s.Logger().Warn("the audit log cannot be shipped: it is tried again, and nothing is lost meanwhile",
			zap.String("file", s.log.Path), zap.String("receiver", s.Receiver), zap.Error(err))
	case err == nil && s.trouble:
		s.Logger().Info("the audit log is shipped again", zap.String("file", s.log.Path), zap.String("receiver", s.Receiver))
	}
	s.trouble = err != nil
}

// rest waits for a time, or until there are lines.
func (s *Shipper) rest(ctx context.Context, grown <-chan struct{}, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-grown:
	case <-timer.C:
	}
}

// pauseAfter is how long to wait after so many failures in a row. Of gateways whose
// Logstash was down, not all come back at the same moment.
func pauseAfter(failures int) time.Duration {
	pause := longestPause
	if failures < 7 { // 64 s are too long
		pause = firstPause << max(failures-1, 0)
	}
	return pause/2 + rand.N(pause/2)
}
