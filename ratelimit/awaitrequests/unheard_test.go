package awaitrequests

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// conn is a connection that is nothing but itself.
type conn struct {
	net.Conn
	_ byte
}

func TestHowLongIsWaited(t *testing.T) {
	type event struct {
		after time.Duration // from when the connection was accepted
		state http.ConnState
	}
	for name, c := range map[string]struct {
		accepted  []time.Duration // how long before the wait began
		then      map[int]event
		takes     time.Duration
		remembers int
	}{
		"not at all, if there are no connections":               {},
		"until the request is answered":                         {[]time.Duration{0}, map[int]event{0: {time.Second, http.StateIdle}}, time.Second, 0},
		"until the client has left":                             {[]time.Duration{0}, map[int]event{0: {time.Second, http.StateClosed}}, time.Second, 0},
		"until a request that takes long has certainly begun":   {[]time.Duration{0}, map[int]event{0: {time.Second, http.StateActive}}, time.Second + settling, 1},
		"not at all for one that has long been active":          {[]time.Duration{time.Second}, map[int]event{0: {0, http.StateActive}}, 0, 1},
		"for the last of several":                               {[]time.Duration{0, 0}, map[int]event{0: {time.Second, http.StateIdle}, 1: {2 * time.Second, http.StateIdle}}, 2 * time.Second, 0},
		"5 s for one that says nothing":                         {[]time.Duration{0}, nil, 5 * time.Second, 1},
		"the rest of 5 s for one that was accepted before":      {[]time.Duration{4 * time.Second}, nil, time.Second, 1},
		"not at all for one that has said nothing for 5 s":      {[]time.Duration{5 * time.Second, time.Hour}, nil, 0, 2},
		"for the request of one beside another that is silent":  {[]time.Duration{time.Hour, 0}, map[int]event{1: {time.Second, http.StateIdle}}, time.Second, 1},
		"not for the second request of one that had been heard": {[]time.Duration{0}, map[int]event{0: {0, http.StateIdle}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, begins := newUnheard(), time.Now().Add(2*time.Hour)
				for i, before := range c.accepted {
					accepted, one := begins.Add(-before), new(conn)
					time.AfterFunc(time.Until(accepted), func() { u.observe(one, http.StateNew) })
					if e, ok := c.then[i]; ok {
						time.AfterFunc(time.Until(accepted.Add(e.after))+1, func() {
							u.observe(one, e.state)
							if e.state == http.StateIdle { // and asks again
								u.observe(one, http.StateActive)
							}
						})
					}
				}
				time.Sleep(time.Until(begins) + 2)
				u.await()
				if took := time.Since(begins).Round(time.Millisecond); took != c.takes {
					t.Errorf("it waits %v, want %v", took, c.takes)
				}
				if len(u.until) != c.remembers {
					t.Errorf("%d connections are remembered, want %d", len(u.until), c.remembers)
				}
			})
		})
	}
}
