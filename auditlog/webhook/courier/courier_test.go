package courier_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gateway18789/caddy-ollama/auditlog/webhook/courier"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is one that answers as it is told.
type receiver struct {
	answer func(n int, r *http.Request) (*http.Response, error) // to its n-th request, from 1
	mu     sync.Mutex
	times  []time.Time
	bodies []string
	last   *http.Request
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.times, r.bodies, r.last = append(r.times, time.Now()), append(r.bodies, string(body)), req
	n := len(r.bodies)
	r.mu.Unlock()
	return r.answer(n, req)
}

// asked is how often it was asked.
func (r *receiver) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies)
}

// delivered are the messages that came, each once.
func (r *receiver) delivered() []string { return slices.Compact(slices.Clone(r.bodies)) }

func status(code int, header ...string) (*http.Response, error) {
	resp := &http.Response{StatusCode: code, Header: make(http.Header), Body: io.NopCloser(strings.NewReader("as you like"))}
	for i := 0; i < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp, nil
}

func always(code int) func(int, *http.Request) (*http.Response, error) {
	return func(int, *http.Request) (*http.Response, error) { return status(code) }
}

// report is what a courier has told.
type report struct {
	mu                         sync.Mutex
	delivered, failed, dropped int
	troubles, relieves         int
	errs                       []string
}

func (r *report) locked(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }
func (r *report) Delivered()      { r.locked(func() { r.delivered++ }) }
func (r *report) Failed(_ string, err error) {
	r.locked(func() { r.failed++; r.errs = append(r.errs, err.Error()) })
}
func (r *report) Dropped(string) { r.locked(func() { r.dropped++ }) }
func (r *report) Trouble(err error) {
	r.locked(func() {
		if err == nil {
			r.relieves++
		} else {
			r.troubles++
			r.errs = append(r.errs, err.Error())
		}
	})
}

func (r *report) expect(t *testing.T, delivered, failed, dropped int) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.delivered != delivered || r.failed != failed || r.dropped != dropped {
		t.Errorf("%d delivered, %d failed, %d dropped; want %d, %d, %d", r.delivered, r.failed, r.dropped, delivered, failed, dropped)
	}
}

const url = "https://receiver.example.com/secret-path"

var usual = courier.Options{Timeout: 5 * time.Second, Queue: 1000, Retry: time.Hour}

func newCourier(r *receiver, o courier.Options) (*courier.Courier, *report) {
	told := new(report)
	return courier.New(url, clientOf(r), func() courier.Options { return o }, told), told
}

func clientOf(r *receiver) *http.Client {
	client := courier.NewClient()
	client.Transport = r
	return client
}

func take(c *courier.Courier, from, to int) {
	for n := from; n < to; n++ {
		c.Take("event", []byte(fmt.Sprint(n)))
	}
}

func TestMessagesAreDeliveredInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: always(204)}
		o := usual
		o.Header = http.Header{"Authorization": {"Bearer key"}}
		c, told := newCourier(r, o)
		take(c, 0, 100)
		told.expect(t, 100, 0, 0)
		for n, body := range r.bodies {
			if body != fmt.Sprint(n) {
				t.Fatalf("message %d is %s", n, body)
			}
		}
		if h := r.last.Header; r.last.Method != "POST" || r.last.URL.String() != url || h.Get("Authorization") != "Bearer key" || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s, %v", r.last.Method, r.last.URL, h)
		}
		if told.troubles != 0 || c.Waiting() != 0 {
			t.Errorf("%d troubles, %d wait", told.troubles, c.Waiting())
		}
		c.Stop(time.Second)
	})
}

// The receiver is down for a minute: nobody waits for it, nothing is lost that there is
// room for, and it gets everything soon after.
func TestAReceiverThatIsDownForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := &receiver{answer: func(int, *http.Request) (*http.Response, error) {
			if time.Since(began) < time.Minute {
				return nil, errors.New("connection refused")
			}
			return status(200)
		}}
		o := usual
		o.Queue = 50
		c, told := newCourier(r, o)
		for n := range 60 { // one a second
			before := time.Now()
			take(c, n, n+1)
			if waited := time.Since(before); waited != 0 {
				t.Fatalf("it took %v to hand an alarm over", waited)
			}
			if c.Waiting() > 50 {
				t.Fatalf("%d wait", c.Waiting())
			}
			time.Sleep(time.Second)
		}
		attempts := r.asked()
		if attempts < 5 || attempts > 12 {
			t.Errorf("%d attempts in a minute", attempts)
		}
		time.Sleep(time.Minute)
		told.expect(t, 50, 0, 10)
		var want []string
		for n := range 50 {
			want = append(want, fmt.Sprint(n))
		}
		if got := r.delivered(); !slices.Equal(got, want) {
			t.Errorf("delivered are %q", got)
		}
		if told.troubles != 1 || told.relieves != 1 {
			t.Errorf("told of %d troubles and %d ends", told.troubles, told.relieves)
		}
		c.Stop(time.Second)
	})
}

func TestHowLongIsWaitedBetweenAttempts(t *testing.T) {
	for _, test := range []struct {
		name        string
		header      string // Retry-After of each answer
		after       int    // failures
		least, most time.Duration
	}{
		{"about a second at first", "", 1, 500 * time.Millisecond, time.Second},
		{"twice as long each time", "", 4, 4 * time.Second, 8 * time.Second},
		{"a minute at most", "", 20, 30 * time.Second, time.Minute},
		{"as long as the receiver says", "90", 1, 90 * time.Second, 90 * time.Second},
		{"until the receiver says", "Sat, 01 Jan 2000 00:02:00 GMT", 1, 2 * time.Minute, 2 * time.Minute},
		{"but not for days", "999999", 1, 10 * time.Minute, 10 * time.Minute},
		{"no less because the receiver says so", "1", 20, 30 * time.Second, time.Minute},
		{"what is no time is none", "soon", 1, 500 * time.Millisecond, time.Second},
		{"nor is a negative one", "-5", 1, 500 * time.Millisecond, time.Second},
		{"a date that is over is none", "Fri, 31 Dec 1999 00:00:00 GMT", 1, 500 * time.Millisecond, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // in which it is 2000-01-01
				o := usual
				o.Retry = 24 * time.Hour
				r := new(receiver)
				r.answer = func(n int, _ *http.Request) (*http.Response, error) {
					if n > test.after {
						return status(200)
					}
					return status(503, "Retry-After", test.header)
				}
				c, told := newCourier(r, o)
				take(c, 0, 1)
				time.Sleep(23 * time.Hour)
				told.expect(t, 1, 0, 0)
				if paused := r.times[test.after].Sub(r.times[test.after-1]); paused < test.least || paused > test.most {
					t.Errorf("it was %v, want %v to %v", paused, test.least, test.most)
				}
				c.Stop(time.Second)
			})
		})
	}
}

func TestWhatIsTriedAgain(t *testing.T) {
	for code, again := range map[int]bool{
		301: false, 307: false, 400: false, 401: false, 403: false, 404: false, 408: true, 410: false, 413: false, 422: false,
		425: true, 429: true, 500: true, 502: true, 503: true, 504: true,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{answer: func(n int, _ *http.Request) (*http.Response, error) {
				if n == 1 {
					return status(code, "Location", "https://elsewhere.example.com")
				}
				return status(200)
			}}
			c, told := newCourier(r, usual)
			take(c, 0, 2)
			time.Sleep(time.Minute)
			if again {
				told.expect(t, 2, 0, 0)
			} else {
				told.expect(t, 1, 1, 0)
			}
			if host := r.last.URL.Host; host != "receiver.example.com" {
				t.Errorf("%d: it went to %s", code, host)
			}
			c.Stop(time.Second)
		})
	}
}

func TestAMessageIsGivenUpAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: always(500)}
		c, told := newCourier(r, usual)
		take(c, 0, 3)
		time.Sleep(58 * time.Minute)
		told.expect(t, 0, 0, 0)
		time.Sleep(5 * time.Minute)
		told.expect(t, 0, 3, 0)
		if told.troubles != 1 {
			t.Errorf("told of %d troubles", told.troubles)
		}
		c.Stop(time.Second)
	})
}

func TestOneAttemptTakesNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(n int, req *http.Request) (*http.Response, error) {
			if n == 1 {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return status(200)
		}}
		c, told := newCourier(r, usual)
		take(c, 0, 1)
		time.Sleep(10 * time.Second)
		told.expect(t, 1, 0, 0)
		if waited := r.times[1].Sub(r.times[0]); waited < 5*time.Second || waited > 7*time.Second {
			t.Errorf("the second attempt came %v after the first", waited)
		}
		c.Stop(time.Second)
	})
}

func TestAtTheEndWhatWaitsGetsOneLastAttempt(t *testing.T) {
	for _, test := range []struct {
		name              string
		down              time.Duration // the receiver, from the beginning
		hangs             bool
		delivered, failed int
		took              time.Duration
	}{
		{"the receiver is back", 2 * time.Second, false, 20, 0, 0},
		{"the receiver is still down", time.Hour, false, 0, 20, 0},
		{"the receiver hangs", time.Hour, true, 0, 20, 5 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, ending := time.Now(), false
				r := new(receiver)
				r.answer = func(_ int, req *http.Request) (*http.Response, error) {
					switch {
					case test.hangs && ending:
						<-req.Context().Done()
						return nil, req.Context().Err()
					case time.Since(began) < test.down:
						return nil, errors.New("connection refused")
					}
					return status(200)
				}
				o := usual
				o.Timeout = time.Minute
				c, told := newCourier(r, o)
				take(c, 0, 20)
				time.Sleep(2050 * time.Millisecond)
				synctest.Wait()
				ending = true
				stopping := time.Now()
				c.Stop(5 * time.Second)
				if took := time.Since(stopping); took != test.took {
					t.Errorf("it took %v, want %v", took, test.took)
				}
				told.expect(t, test.delivered, test.failed, 0)
				take(c, 0, 1)
				told.expect(t, test.delivered, test.failed, 1)
				c.Stop(time.Second) // once more does no harm
			})
		})
	}
}

func TestOptionsThatChangeHoldForWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		key := "wrong"
		r := &receiver{answer: func(_ int, req *http.Request) (*http.Response, error) {
			if req.Header.Get("Authorization") != "right" {
				return status(503)
			}
			return status(200)
		}}
		told := new(report)
		c := courier.New(url, clientOf(r), func() courier.Options {
			mu.Lock()
			defer mu.Unlock()
			o := usual
			o.Header = http.Header{"Authorization": {key}}
			return o
		}, told)
		take(c, 0, 1)
		time.Sleep(10 * time.Second)
		mu.Lock()
		key = "right"
		mu.Unlock()
		time.Sleep(20 * time.Second)
		told.expect(t, 1, 0, 0)
		c.Stop(time.Second)
	})
}

// URLs of receivers may be secrets.
func TestErrorsSayNothingOfTheURL(t *testing.T) {
	told := new(report)
	c := courier.New("http://127.0.0.1:1/secret-path", courier.NewClient(), func() courier.Options {
		return courier.Options{Timeout: time.Second, Queue: 1, Retry: time.Nanosecond}
	}, told)
	c.Take("event", bytes.Repeat([]byte("x"), 10))
	c.Stop(2 * time.Second)
	if len(told.errs) != 2 || strings.Contains(fmt.Sprint(told.errs), "secret") {
		t.Errorf("errors are %q", told.errs)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	if err := courier.NewClient().CheckRedirect(nil, nil); !errors.Is(err, http.ErrUseLastResponse) {
		t.Errorf("the client says %v", err)
	}
}
