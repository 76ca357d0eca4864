package logfile

import (
	"time"

	"go.uber.org/zap"
)

// agenda is when the keeper has what to do. Zero is never.
type agenda struct {
	sync, head time.Time
	told       error // the trouble that the operator knows of
	headTold   bool
}

// keep does, off the path of requests, what has to be done now and then: making lines
// durable, the head, rotation, and trying again after a failure.
func (l *Log) keep() {
	defer l.ending.Done()
	var a agenda
	for {
		timer := time.NewTimer(l.tend(&a))
		select {
		case <-l.stop:
			timer.Stop()
			return
		case <-l.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// tend does what is due and returns how long nothing will be.
func (l *Log) tend(a *agenda) time.Duration {
	l.tendTrouble(a)
	l.tendRotation()
	now := time.Now()
	o := l.options.Load()

	if o.durable() && l.unsynced() {
		if a.sync.IsZero() {
			a.sync = now.Add(o.Fsync)
		}
		if !now.Before(a.sync) {
			// a failure is in the log's trouble
			_ = l.syncTo(l.sequence.Load())
			_ = l.syncJournal()
			a.sync = time.Time{}
			if l.unsynced() {
				a.sync = now.Add(max(o.Fsync, time.Millisecond))
			}
		}
	} else {
		a.sync = time.Time{}
	}

	if l.behind() {
		if a.head.IsZero() {
			a.head = now.Add(headEvery)
		}
		if !now.Before(a.head) {
			l.journal.settle()
			l.tendHead(a)
			a.head = time.Time{}
			if l.behind() {
				a.head = now.Add(headEvery)
			}
		}
	} else {
		a.head = time.Time{}
	}
	return l.rest(a)
}

// rest is the time until something is due.
func (l *Log) rest(a *agenda) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	unsynced := l.options.Load().durable() && l.unsynced()
	behind, trouble := l.behind(), l.backlog.trouble != nil
	l.awake = unsynced || behind || trouble

	pause := time.Hour // now and then, because clocks can be set
	wait := func(needed bool, at time.Time) {
		if needed {
			pause = min(pause, at.Sub(now))
		}
	}
	wait(unsynced, a.sync) // what is not on the agenda yet gets there at once
	wait(behind, a.head)
	wait(trouble, l.backlog.retryAt)
	wait(l.due(now), now)
	wait(l.rollAt.After(now), l.rollAt)
	wait(l.rollWait.After(now), l.rollWait)
	return max(pause, 0)
}

func (l *Log) unsynced() bool {
	return l.synced.Load() != l.sequence.Load() || l.syncedJournal.Load() != l.journal.changes()
}

// behind tells whether the head or the journal does not tell yet how things are.
func (l *Log) behind() bool {
	return l.head.last.Load() != l.sequence.Load() || l.journal.unsettled()
}

// tendTrouble tells the operator of trouble and tries whether it is over.
func (l *Log) tendTrouble(a *agenda) {
	trouble := l.Trouble()
	l.tellTrouble(a, trouble)
	l.mu.Lock()
	again := l.backlog.trouble != nil && !time.Now().Before(l.backlog.retryAt)
	l.mu.Unlock()
	if !again {
		return
	}
	if well, late, lost := l.retry(); well {
		l.tellTrouble(a, l.Trouble())
		l.Logger().Warn("the audit log was written late", zap.String("file", l.Path),
			zap.Uint64("late", late), zap.Uint64("lost", lost))
	}
}

// tellTrouble tells the operator once when trouble begins and once when it ends.
func (l *Log) tellTrouble(a *agenda, trouble error) {
	if (trouble == nil) == (a.told == nil) {
		return
	}
	a.told = trouble
	if trouble == nil {
		l.Logger().Info("the audit log is written again", zap.String("file", l.Path))
	} else {
		l.Logger().Error("the audit log cannot be written", zap.String("file", l.Path),
			zap.Error(trouble), zap.Bool("requests_are_refused", l.options.Load().Refuse))
	}
}

func (l *Log) tendHead(a *agenda) {
	if l.head.last.Load() == l.sequence.Load() {
		return
	}
	err := l.writeHead()
	if err != nil && !a.headTold {
		l.Logger().Error("a missing end of the audit log would not show until its head can be written",
			zap.String("file", l.Path), zap.Error(err))
	}
	a.headTold = err != nil
}
