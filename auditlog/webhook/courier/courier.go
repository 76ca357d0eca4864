// Package courier delivers messages to a receiver over HTTP, one after the other, from a
// queue that is bounded and that nobody waits for. It knows nothing of Caddy.
package courier

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Options are how messages are delivered. They may change while some wait.
type Options struct {
	Header  http.Header
	Timeout time.Duration // of one attempt
	Queue   int           // how many messages may wait
	Retry   time.Duration // how long one is tried
}

// Report is what a courier tells those who want to know. It must not take long.
type Report interface {
	Delivered()
	// Failed says that a message is given up.
	Failed(name string, err error)
	// Dropped says that there was no room for a message.
	Dropped(name string)
	// Trouble says that messages cannot be delivered now, and with nil that they can again.
	Trouble(err error)
}

// Courier delivers to one receiver. A goroutine runs only while there is something to do.
type Courier struct {
	url     string
	client  *http.Client
	options func() Options // those in force
	report  Report

	mu      sync.Mutex
	queue   []message // the first is being delivered
	running bool
	stopped bool

	stop   chan struct{} // closed when the queue must be emptied at once
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

type message struct {
	name  string
	body  []byte
	taken time.Time
}

// How long a courier waits after a failure: about the first at first, twice as long each
// time, up to the second; but as long as the receiver says, up to the third.
const (
	firstPause   = time.Second
	longestPause = time.Minute
	longestAsked = 10 * time.Minute
)

// New returns one for a receiver.
func New(url string, client *http.Client, options func() Options, report Report) *Courier {
	c := &Courier{url: url, client: client, options: options, report: report, stop: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Take takes a message, if there is room. It never waits.
func (c *Courier) Take(name string, body []byte) {
	if !c.take(message{name, body, time.Now()}) {
		c.report.Dropped(name)
	}
}

func (c *Courier) take(m message) bool {
	most := c.options().Queue
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || len(c.queue) >= most {
		return false
	}
	c.queue = append(c.queue, m)
	if !c.running {
		c.running = true
		c.work.Go(c.run)
	}
	return true
}

// Waiting is how many messages wait.
func (c *Courier) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// Stop ends the courier: what waits gets one last attempt, all of it in no more than this
// time.
func (c *Courier) Stop(within time.Duration) {
	c.mu.Lock()
	first := !c.stopped
	c.stopped = true
	c.mu.Unlock()
	if first {
		close(c.stop)
	}
	end := time.AfterFunc(within, c.cancel)
	c.work.Wait()
	end.Stop()
	c.cancel()
	c.client.CloseIdleConnections()
}

// run delivers until nothing waits.
func (c *Courier) run() {
	failures := 0
	for {
		m, some := c.next()
		if !some {
			return
		}
		o := c.options()
		tried := c.post(c.ctx, o, m.body)
		if tried.err == nil {
			if failures > 0 {
				c.report.Trouble(nil)
			}
			failures = 0
			c.done()
			c.report.Delivered()
			continue
		}
		if failures == 0 {
			c.report.Trouble(tried.err)
		}
		failures++
		pause := pauseAfter(failures, tried.waiting)
		if tried.final || c.stopping() || time.Since(m.taken)+pause > o.Retry {
			c.done()
			c.report.Failed(m.name, tried.err)
			if tried.final {
				continue // the receiver is there
			}
		}
		c.rest(pause)
	}
}

// next is the message whose turn it is. If there is none the goroutine has ended.
func (c *Courier) next() (message, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.running, c.queue = false, nil
		return message{}, false
	}
	return c.queue[0], true
}

func (c *Courier) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue[0] = message{} // of which the queue's array keeps nothing
	c.queue = c.queue[1:]
}

func (c *Courier) stopping() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// rest waits, unless the courier is to stop.
func (c *Courier) rest(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.stop:
	}
}

// pauseAfter is how long to wait after so many failures in a row. Of gateways whose
// receiver was down, not all come back at the same moment.
func pauseAfter(failures int, asked time.Duration) time.Duration {
	pause := longestPause
	if failures < 7 { // 64 s are too long
		pause = firstPause << (failures - 1)
	}
	pause = pause/2 + rand.N(pause/2)
	return max(pause, min(asked, longestAsked))
}
