package awaitrequests

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// patience is how long a connection may take for its first request, when a server is to
	// be stopped. It is what net/http takes for a connection that is not idle.
	patience = 5 * time.Second
	// settling is how long net/http may take, after it has told that a request has come, to
	// look for the last time whether it is to stop. It takes nanoseconds, but its thread may
	// have to wait for a processor.
	settling = 100 * time.Millisecond
)

// unheard are the connections whose first request has not been read or is being answered.
type unheard struct {
	mu    sync.Mutex
	until map[net.Conn]time.Time // it is worth waiting for one
	fewer chan struct{}          // tells that one has come further
}

func newUnheard() *unheard {
	return &unheard{until: make(map[net.Conn]time.Time), fewer: make(chan struct{}, 1)}
}

// observe is net/http's ConnState. Before HTTP/2 is spoken, a connection is new as well.
func (u *unheard) observe(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, first := u.until[conn]
	switch {
	case state == http.StateNew:
		u.until[conn] = time.Now().Add(patience)
		return
	case !first:
		return
	case state == http.StateActive:
		u.until[conn] = time.Now().Add(settling)
	default:
		delete(u.until, conn)
	}
	select {
	case u.fewer <- struct{}{}:
	default:
	}
}

// await waits until there are none for which it is worth it.
func (u *unheard) await() {
	for {
		left := u.patienceLeft()
		if left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-u.fewer:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// patienceLeft is the longest that is left for one of them.
func (u *unheard) patienceLeft() (left time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, until := range u.until {
		left = max(left, time.Until(until))
	}
	return left
}
