package awaitrequests

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// listener can be closed before its server is told to stop, and tells when the server knows.
type listener struct {
	net.Listener
	close  func() error // Caddy counts who uses its listeners: once each
	closed atomic.Bool
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
	conn, err := l.Listener.Accept()
	if err != nil && l.closed.Load() {
		l.end()
	}
	return conn, err
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
