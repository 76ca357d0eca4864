package awaitrequests

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// quiet is for how long a server is to wait for a connection, and quietChecks is how often
// that is looked at.
const (
	quiet       = 5 * time.Millisecond
	quietChecks = 20
)

// listener can be closed before its server is told to stop, and tells when the server knows.
type listener struct {
	net.Listener
	close  func() error // Caddy counts who uses its listeners: once each
	closed atomic.Bool
	calls  atomic.Int64  // of Accept: one more than connections, while the server waits in it
	given  atomic.Int64  // connections
	ended  chan struct{} // closed once the server has been told that nothing more comes
	end    func()
}

func newListener(inner net.Listener) *listener {
	l := &listener{Listener: inner, close: sync.OnceValue(inner.Close), ended: make(chan struct{})}
	l.end = sync.OnceFunc(func() { close(l.ended) })
	return l
}

// Accept is called by a server that has noted the connection of the call before.
func (l *listener) Accept() (net.Conn, error) {
	l.calls.Add(1)
	conn, err := l.Listener.Accept()
	if err == nil {
		l.given.Add(1)
	} else if l.closed.Load() {
		l.end()
	}
	return conn, err
}

// closeWhenQuiet closes the listener when nothing seems to be in its queue, because the server
// has been waiting for a connection for some milliseconds: what is there then is lost.
func (l *listener) closeWhenQuiet() {
	l.awaitQuiet()
	_ = l.Close() // which the server is told when it accepts again
}

func (l *listener) awaitQuiet() {
	for range quietChecks {
		before := l.given.Load()
		time.Sleep(quiet)
		if l.given.Load() == before && l.calls.Load() > before {
			return
		}
	}
}

func (l *listener) Close() error {
	l.closed.Store(true)
	return l.close()
}

// awaitEnd waits until the server has noted all connections that it was given. One that has
// left the listener by itself, because of an error, never does.
func (l *listener) awaitEnd(atMost time.Duration) {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-l.ended:
	case <-timer.C:
	}
}
