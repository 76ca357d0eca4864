package main

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// session is a number of connections to a target and what is asked over them. The loops
// of it measure between begin and end.
type session struct {
	target  *target
	request request
	tokens  []string // of JWT; each request takes the next
	next    atomic.Int64
	clients []*client

	began, ended time.Time
	before       books
	after        books
}

// openSession opens the connections, and asks once for something short over each, so
// that all is warm.
func openSession(t *target, r request, tokens []string, connections int) (*session, error) {
	s := &session{target: t, request: r, tokens: tokens, clients: make([]*client, connections)}
	warm := newRequest(objectModel, false, 100)
	err := s.each(func(i int) (err error) {
		if s.clients[i], err = newClient(t); err != nil {
			return err
		}
		return s.clients[i].ask(warm, s.token())
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

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
		if c != nil {
			c.close()
		}
	}
}

func (s *session) token() string {
	return s.tokens[int(s.next.Add(1))%len(s.tokens)]
}

func (s *session) begin() (err error) {
	s.before, err = s.target.books()
	s.began = time.Now()
	return err
}

func (s *session) end() (err error) {
	s.ended = time.Now()
	s.after, err = s.target.books()
	return err
}

// cell has what was booked between begin and end.
func (s *session) cell() cell {
	return cell{
		Target:   s.target.name,
		Seconds:  s.ended.Sub(s.began).Seconds(),
		CPU:      (s.after.cpu - s.before.cpu).Seconds(),
		Allocs:   s.after.allocs - s.before.allocs,
		Resident: float64(s.after.resident),
	}
}

// closedLoop asks over each connection as soon as the answer before is there. With
// fresh, each request has a connection of its own.
func (s *session) closedLoop(duration time.Duration, fresh bool) (cell, error) {
	if err := s.begin(); err != nil {
		return cell{}, err
	}
	latencies := make([][]time.Duration, len(s.clients))
	end := s.began.Add(duration)
	err := s.each(func(i int) error {
		for now := time.Now(); now.Before(end); now = time.Now() {
			if fresh {
				if err := s.clients[i].reconnect(); err != nil {
					return err
				}
			}
			if err := s.clients[i].ask(s.request, s.token()); err != nil {
				return err
			}
			latencies[i] = append(latencies[i], time.Since(now))
		}
		return nil
	})
	if err := errors.Join(err, s.end()); err != nil {
		return cell{}, err
	}
	c := s.cell()
	c.setLatencies(slices.Concat(latencies...))
	return c, nil
}

// openLoop asks at a rate, whatever the answers are like. A request whose connections
// are all busy waits for one, and its latency counts from when it was due.
func (s *session) openLoop(duration time.Duration, rate float64) (cell, error) {
	if err := s.begin(); err != nil {
		return cell{}, err
	}
	n := int(rate * duration.Seconds())
	due := make(chan time.Time, n)
	go func() {
		defer close(due)
		for i := range n {
			at := s.began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			time.Sleep(time.Until(at))
			due <- at
		}
	}()
	latencies := make([][]time.Duration, len(s.clients))
	err := s.each(func(i int) error {
		for at := range due {
			if err := s.clients[i].ask(s.request, s.token()); err != nil {
				return err
			}
			latencies[i] = append(latencies[i], time.Since(at))
		}
		return nil
	})
	if err := errors.Join(err, s.end()); err != nil {
		return cell{}, err
	}
	c := s.cell()
	c.Rate = rate
	c.setLatencies(slices.Concat(latencies...))
	return c, nil
}

// streams has a stream over each connection, and a new one when it ends.
func (s *session) streams(duration time.Duration) (cell, error) {
	if err := s.begin(); err != nil {
		return cell{}, err
	}
	firsts, delays := make([][]time.Duration, len(s.clients)), make([][]time.Duration, len(s.clients))
	requests := make([]int, len(s.clients))
	end := s.began.Add(duration)
	err := s.each(func(i int) error {
		for asked := time.Now(); asked.Before(end); asked = time.Now() {
			first := true
			err := s.clients[i].stream(s.request, s.token(), func(sent time.Time) {
				now := time.Now()
				if first {
					firsts[i] = append(firsts[i], now.Sub(asked))
					first = false
				}
				delays[i] = append(delays[i], now.Sub(sent))
			})
			if err != nil {
				return err
			}
			requests[i]++
		}
		return nil
	})
	if err := errors.Join(err, s.end()); err != nil {
		return cell{}, err
	}
	c := s.cell()
	for _, n := range requests {
		c.Requests += n
	}
	c.setFirsts(slices.Concat(firsts...))
	c.setDelays(slices.Concat(delays...))
	return c, nil
}

// held has one stream over each connection that lasts longer than the measurement,
// which begins when all have begun. Then it leaves them all.
func (s *session) held(duration time.Duration) (cell, error) {
	var measuring atomic.Bool
	var left atomic.Bool
	var begun sync.WaitGroup
	begun.Add(len(s.clients))
	delays := make([][]time.Duration, len(s.clients))
	done := make(chan error, 1)
	go func() {
		done <- s.each(func(i int) error {
			first := sync.OnceFunc(begun.Done)
			defer first() // also if there never was a token
			err := s.clients[i].stream(s.request, s.token(), func(sent time.Time) {
				first()
				if measuring.Load() {
					delays[i] = append(delays[i], time.Since(sent))
				}
			})
			if left.Load() {
				return nil
			}
			return errors.Join(errors.New("a held stream ended"), err)
		})
	}()
	begun.Wait()
	beginErr := s.begin()
	measuring.Store(true)
	time.Sleep(duration)
	measuring.Store(false)
	endErr := s.end()
	left.Store(true)
	s.close()
	if err := errors.Join(beginErr, endErr, <-done); err != nil {
		return cell{}, err
	}
	c := s.cell()
	c.setDelays(slices.Concat(delays...))
	return c, nil
}
