package main

import (
	"errors"
	"time"
)

// load is a way to use a session for so long.
type load func(s *session, duration time.Duration) (sample, error)

// idle measures what is there before there was any load to speak of.
func idle(s *session, _ time.Duration) (sample, error) {
	return s.measure(func() error { return nil })
}

// closedLoop asks over each connection as soon as the answer before is there.
func closedLoop(s *session, duration time.Duration) (sample, error) {
	return s.loop(duration, false, func(w *worker) error {
		began, by := w.begin()
		if err := ask(w.client, s.request, by); err != nil {
			return err
		}
		w.answered(began)
		return nil
	})
}

// freshLoop does the same, over a new connection for each request.
func freshLoop(s *session, duration time.Duration) (sample, error) {
	return s.loop(duration, false, func(w *worker) error {
		began, by := w.begin()
		if err := w.client.reconnect(); err != nil {
			return err
		}
		if err := ask(w.client, s.request, by); err != nil {
			return err
		}
		w.answered(began)
		return nil
	})
}

// streams has a stream over each connection, and a new one when it ends.
func streams(s *session, duration time.Duration) (sample, error) {
	return s.loop(duration, false, (*worker).stream)
}

// held has one stream over each connection, that lasts longer than the turn. Then it
// leaves them all.
func held(s *session, duration time.Duration) (sample, error) {
	return s.loop(duration, true, func(w *worker) error {
		return errors.Join(errors.New("a held stream ended"), w.stream())
	})
}

// stream has one stream, and measures its first token and the delay of all.
func (w *worker) stream() error {
	began, by := w.begin()
	first := true
	err := stream(w.client, w.session.request, by, func(sent time.Time) {
		now := time.Now()
		w.session.done.Add(1)
		w.atWork()
		if w.session.measuring.Load() {
			if first {
				w.sample.firsts = append(w.sample.firsts, now.Sub(began))
			}
			w.sample.delays = append(w.sample.delays, now.Sub(sent))
			w.seen()
		}
		first = false
	})
	if err != nil {
		return err
	}
	w.latency(began)
	return nil
}

// openLoop asks at a rate, whatever the answers are like. A request whose connections
// are all busy waits for one, and its latency counts from when it was due.
func openLoop(rate float64) load {
	return func(s *session, duration time.Duration) (sample, error) {
		latencies := make([]sample, len(s.clients))
		total, err := s.measure(func() error {
			due := dueAt(time.Now(), rate, duration)
			return s.each(func(i int) error {
				for at := range due {
					if err := ask(s.clients[i], s.request, s.sender(s.request)); err != nil {
						return err
					}
					s.done.Add(1)
					latencies[i].latencies = append(latencies[i].latencies, time.Since(at))
				}
				return nil
			})
		})
		if err != nil {
			return sample{}, err
		}
		for _, l := range latencies {
			total.observe(l)
		}
		total.rate = rate
		return total, nil
	}
}

// dueAt says when each request is due, at the time when it is. It waits for nobody.
func dueAt(began time.Time, rate float64, duration time.Duration) <-chan time.Time {
	n := int(rate * duration.Seconds())
	due := make(chan time.Time, n) // has room for all
	go func() {
		defer close(due)
		for i := range n {
			at := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			time.Sleep(time.Until(at))
			due <- at
		}
	}()
	return due
}
