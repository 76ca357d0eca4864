package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// session is a number of connections to a target and what is asked over them.
type session struct {
	target, upstream *target
	leavings         *leavings
	request          request
	tokens           []string // of JWT; each request takes the next
	next             atomic.Int64
	clients          []client
	closed           bool
	// measuring is true in a turn, between its two looks at the books.
	measuring atomic.Bool
	// done counts answers, or of streams their tokens, whether they are measured or not.
	done atomic.Int64
}

// openSession opens the connections, and asks once for something short over each, so
// that all is warm.
func (r *rig) openSession(t *target, s scenario) (*session, error) {
	tokens, err := newTokens(tokensAtOnce)
	if err != nil {
		return nil, err
	}
	session := &session{target: t, upstream: r.targets[0], leavings: r.leavings, request: s.request, tokens: tokens, clients: make([]client, s.connections)}
	warm := chat(objectModel, 100).as(s.request.clients)
	err = session.each(func(i int) error {
		c, err := newClient(t, s.http2)
		if err != nil {
			return err
		}
		session.clients[i] = c
		return ask(c, warm, session.sender(warm))
	})
	if err != nil {
		session.close()
		return nil, err
	}
	return session, nil
}

// tokensAtOnce is how many tokens are minted for a session.
const tokensAtOnce = 5000

// each does something for all connections at once.
func (s *session) each(do func(i int) error) error {
	errs := make([]error, len(s.clients))
	var wait sync.WaitGroup
	for i := range s.clients {
		wait.Go(func() { errs[i] = do(i) })
	}
	wait.Wait()
	// one says enough: what hits one connection hits all
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

func (s *session) close() {
	for _, c := range s.clients {
		if c != nil && !s.closed {
			c.close()
		}
	}
	s.closed = true
}

// sender is who sends the next request: with a token that was not used for long, as
// each of the request's clients in turn, in no order that a table could like.
func (s *session) sender(r request) sender {
	n := int(s.next.Add(1))
	by := sender{token: s.tokens[n%len(s.tokens)]}
	if r.clients > 0 {
		const prime = 7_368_787
		by.from = address(n * prime % r.clients)
	}
	return by
}

// books is what has been booked so far.
type books struct {
	at                    time.Time
	cpu, driver, upstream time.Duration
	done                  float64
	allocs                allocated
	doneAtAllocs          float64 // what was done when they were counted
}

// look reads the books. What it costs the target to count its allocations is not part of
// the turn's processor time: they are counted before a turn begins, and after it ended.
func (s *session) look(countFirst bool) (b books, err error) {
	count := func() {
		var countErr error
		before := s.done.Load()
		b.allocs, countErr = s.target.allocations()
		b.doneAtAllocs = float64(before+s.done.Load()) / 2
		err = errors.Join(err, countErr)
	}
	if countFirst {
		count()
	}
	b.at, b.done = time.Now(), float64(s.done.Load())
	for _, of := range []struct {
		pid  int
		time *time.Duration
	}{{s.target.pid(), &b.cpu}, {os.Getpid(), &b.driver}, {s.upstream.pid(), &b.upstream}} {
		var readErr error
		*of.time, readErr = cpuTime(of.pid)
		err = errors.Join(err, readErr)
	}
	if !countFirst {
		count()
	}
	return b, err
}

// measure is what was booked while during lasted.
func (s *session) measure(during func() error) (sample, error) {
	before, err := s.look(true)
	if err != nil {
		return sample{}, err
	}
	s.measuring.Store(true)
	err = during()
	s.measuring.Store(false)
	after, lookErr := s.look(false)
	resident, residentErr := residentOf(s.target.pid())
	if err := errors.Join(err, lookErr, residentErr); err != nil {
		return sample{}, err
	}
	return sample{
		window: after.at.Sub(before.at),
		cpu:    after.cpu - before.cpu, driver: after.driver - before.driver, upstream: after.upstream - before.upstream,
		// more was done between the two counts than in the window: the target went on meanwhile
		allocs: after.allocs.plus(-1, before.allocs).plus(-1, s.target.countCost).
			times(per(after.done-before.done, after.doneAtAllocs-before.doneAtAllocs)),
		resident: resident,
	}, nil
}

// worker is a connection at work, and what it has measured.
type worker struct {
	session *session
	client  client
	atWork  func() // it has something to show
	seen    func() // something was measured
	sample  sample
}

// begin is when a request begins, and who sends it.
func (w *worker) begin() (time.Time, sender) { return time.Now(), w.session.sender(w.session.request) }

// answered books an answer, which began then.
func (w *worker) answered(began time.Time) {
	w.session.done.Add(1)
	w.latency(began)
}

func (w *worker) latency(began time.Time) {
	w.atWork()
	if w.session.measuring.Load() {
		w.sample.latencies = append(w.sample.latencies, time.Since(began))
		w.seen()
	}
}

// loop lets each connection do its work again and again, measures for so long from when
// all are at work, or until there is something to measure, and lets what is in flight
// end; or leaves it, if it is to.
func (s *session) loop(duration time.Duration, leave bool, work func(w *worker) error) (sample, error) {
	var stopped atomic.Bool
	var warm sync.WaitGroup
	something := make(chan struct{})
	seen := sync.OnceFunc(func() { close(something) })
	workers := make([]*worker, len(s.clients))
	for i, c := range s.clients {
		warm.Add(1)
		workers[i] = &worker{session: s, client: c, atWork: sync.OnceFunc(warm.Done), seen: seen}
	}
	done := make(chan error, 1)
	go func() {
		done <- s.each(func(i int) error {
			defer workers[i].atWork() // also if it never was
			for !stopped.Load() {
				err := work(workers[i])
				if leave && stopped.Load() {
					return nil
				}
				if err != nil {
					return fmt.Errorf("connection %d: %w", i, err)
				}
			}
			return nil
		})
	}()
	warm.Wait()
	total, err := s.measure(func() error {
		time.Sleep(duration)
		select {
		case <-something:
			return nil
		case err := <-done:
			done <- nil
			return errors.Join(errors.New("the work ended before its time"), err)
		case <-time.After(soonEnough):
			return fmt.Errorf("for %v nothing came", duration+soonEnough)
		}
	})
	stopped.Store(true)
	if leave {
		s.close()
	}
	if err := errors.Join(err, <-done); err != nil {
		return sample{}, err
	}
	for _, w := range workers {
		total.observe(w.sample)
	}
	return total, nil
}
