package awaitrequests

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// queue is a listener in whose queue connections wait, and later come more.
type queue struct {
	net.Listener
	conns  chan net.Conn
	closed chan struct{}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case <-q.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	close(q.closed)
	return nil
}

func TestAListenerIsClosedWhenNothingWaitsInItsQueue(t *testing.T) {
	for name, c := range map[string]struct {
		waiting int
		every   time.Duration // comes another
		takes   time.Duration // the server, for each
		left    int           // in the queue, at most
		atMost  time.Duration
	}{
		"an empty one":                    {atMost: quiet},
		"a server at work":                {waiting: 10, takes: 3 * time.Millisecond, atMost: 30*time.Millisecond + 2*quiet},
		"a server that has long not come": {waiting: 3, takes: 30 * time.Millisecond, atMost: 90*time.Millisecond + 2*quiet},
		"a stream of clients":             {waiting: 1, every: time.Millisecond, atMost: quiet * quietChecks, left: 1},
		"a server that does not come":     {waiting: 10, takes: time.Hour, atMost: quiet * quietChecks, left: 9},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &queue{conns: make(chan net.Conn, 1000), closed: make(chan struct{})}
				for range c.waiting {
					q.conns <- new(conn)
				}
				if c.every > 0 {
					go func() {
						for {
							select {
							case q.conns <- new(conn):
								time.Sleep(c.every)
							case <-q.closed:
								return
							}
						}
					}()
				}
				l := newListener(q)
				go func() { // as net/http's Serve
					for {
						if _, err := l.Accept(); err != nil {
							_ = l.Close()
							return
						}
						time.Sleep(c.takes)
					}
				}()
				synctest.Wait()
				begun := time.Now()
				l.closeWhenQuiet()
				took, left := time.Since(begun), len(q.conns)
				time.Sleep(2 * time.Hour) // all goroutines end
				if took > c.atMost {
					t.Errorf("it took %v, want %v at most", took, c.atMost)
				}
				if left > c.left {
					t.Errorf("%d are lost, want %d at most", left, c.left)
				}
			})
		})
	}
}

func TestTheEndIsThatOfAccepting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newListener(&queue{conns: make(chan net.Conn, 1), closed: make(chan struct{})})
		begun := time.Now()
		time.AfterFunc(time.Second, func() { _, _ = l.Accept() })
		_ = l.Close()
		l.awaitEnd(time.Minute)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("it takes %v, want until the server comes to accept", took)
		}
		l.awaitEnd(time.Minute) // for good
		if took := time.Since(begun); took != time.Second {
			t.Errorf("it takes %v the second time", took-time.Second)
		}
		other := newListener(&queue{conns: make(chan net.Conn, 1), closed: make(chan struct{})})
		other.awaitEnd(time.Minute)
		if took := time.Since(begun); took != time.Second+time.Minute {
			t.Errorf("it takes %v with a server that never comes, want a minute", took-time.Second)
		}
	})
}
