package awaitrequests

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// patience is how long a connection may take for its first request, when a server is to be
// stopped. It is what net/http takes for a connection that is not idle.
const patience = 5 * time.Second

// unheard are the connections whose first request has not been read.
type unheard struct {
	mu       sync.Mutex
	accepted map[net.Conn]time.Time
	fewer    chan struct{}
}

func newUnheard() *unheard {
	return &unheard{accepted: make(map[net.Conn]time.Time), fewer: make(chan struct{}, 1)}
}

// observe is net/http's ConnState. Before HTTP/2 is spoken, a connection is new as well.
func (u *unheard) observe(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if state == http.StateNew {
		u.accepted[conn] = time.Now()
		return
	}
	if _, ok := u.accepted[conn]; !ok {
		return
	}
	delete(u.accepted, conn)
	select {
	case u.fewer <- struct{}{}:
	default:
	}
}

// await waits until there are none, apart from those that have used up the patience.
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

// patienceLeft is that with the youngest of them.
func (u *unheard) patienceLeft() (left time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, accepted := range u.accepted {
		left = max(left, patience-time.Since(accepted))
	}
	return left
}
