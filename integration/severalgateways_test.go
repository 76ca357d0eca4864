package integration

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
)

// several are gateways, each a process, that share one Redis.
type several struct {
	t     *testing.T
	redis *redistest.Server
	all   []*gateway
}

// startSeveral runs three gateways with these limits, as the Caddyfile has them. So long
// may Redis take.
func startSeveral(t *testing.T, upstream *ollamatest.Server, timeout time.Duration, limits ...string) *several {
	t.Helper()
	s := &several{t: t, redis: redistest.Start(t)}
	shared := append(limits, "gateways 3", fmt.Sprintf("store redis {\n address %s\n timeout %s\n}", s.redis.Address, timeout))
	for range 3 {
		s.all = append(s.all, startGatewayWith(t, upstream.Address(),
			"rate 5/s\n\t\t\tburst 10\n", "",
			"concurrency 200", strings.Join(shared, "\n"),
			"default_model", "stall_timeout off\n default_model"))
	}
	return s
}

// from is a client at an address, whose requests go to each gateway in turn.
func (s *several) from(source string) *http.Client {
	balancer := new(roundRobin)
	for _, g := range s.all {
		balancer.to = append(balancer.to, g.from(source).Transport)
	}
	return &http.Client{Transport: balancer}
}

// roundRobin stands for the load balancer in front of the gateways.
type roundRobin struct {
	n  atomic.Uint64
	to []http.RoundTripper
}

func (r *roundRobin) RoundTrip(request *http.Request) (*http.Response, error) {
	return r.to[r.n.Add(1)%uint64(len(r.to))].RoundTrip(request)
}

// asks sends a request, and reports whether it was let pass. It is refused for its
// client's rate, or something is wrong.
func (s *several) asks(client *http.Client, token string) bool {
	s.t.Helper()
	a, err := s.all[0].post(client, token, chatBody("hello", false))
	switch {
	case err != nil:
		s.t.Errorf("a request fails: %v", err)
	case a.status == http.StatusTooManyRequests && a.errorCode() == "rate_limit_exceeded":
		return false
	case a.status != http.StatusOK:
		s.t.Errorf("a request gets %d %s", a.status, a.body)
	}
	return err == nil && a.status == http.StatusOK
}

// lost is how many times each gateway has said that Redis is lost, and back.
func (s *several) lost() (lost, back []int) {
	for _, g := range s.all {
		output := g.output.String()
		lost = append(lost, strings.Count(output, "the store that gateways share is lost"))
		back = append(back, strings.Count(output, "the store that gateways share is back"))
	}
	return lost, back
}

// budget is what one gateway lets pass of one client that always asks for more: GCRA,
// in whole microseconds of the clock of Redis.
type budget struct {
	interval, burst int64
	// the first request came to Redis between these two
	earliest, latest int64
}

// until is how many have passed when one is refused at that time, which lies
// between two. They are the same unless a request became due in between.
func (b budget) until(earliest, latest int64) (least, most int64) {
	return b.burst + (earliest-b.latest)/b.interval, b.burst + (latest-b.earliest)/b.interval
}

// consumer is one client that asks for all it can get.
type consumer struct {
	*several
	client *http.Client
	token  string
	budget budget
	sent   atomic.Int64
	passed atomic.Int64
}

func (c *consumer) ask() bool {
	c.sent.Add(1)
	passed := c.asks(c.client, c.token)
	if passed {
		c.passed.Add(1)
	}
	return passed
}

// at is the time by the clock of Redis.
func (s *several) at() int64 {
	client := s.redis.Client()
	defer client.Close()
	now, err := client.Time(s.t.Context()).Result()
	if err != nil {
		s.t.Error(err)
	}
	return now.UnixMicro()
}

// connect connects to each gateway, and waits until that is paid for: the client is as
// good as one never seen.
func (c *consumer) connect() {
	for range c.all {
		c.asks(c.client, c.token)
	}
	idle := c.at() + int64(len(c.all))*c.budget.interval
	for c.at() < idle {
		time.Sleep(20 * time.Millisecond)
	}
}

// consume sends so many requests, and a few more until the oracle can tell to the
// last how many must have passed.
func (c *consumer) consume(requests int64) (oracle int64) {
	c.connect()
	c.budget.earliest = c.at()
	c.ask()
	c.budget.latest = c.at()
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for c.sent.Load() < requests && !c.t.Failed() {
				c.ask()
			}
		})
	}
	workers.Wait()
	for range 1000 {
		earliest := c.at()
		passed := c.ask()
		least, most := c.budget.until(earliest, c.at())
		if !passed && least == most {
			return most
		}
	}
	c.t.Error("the oracle cannot tell: the client is never refused, or Redis answers too slowly")
	return -1
}

func TestSeveralGatewaysLetPassWhatOneWould(t *testing.T) {
	t.Parallel()
	const clients, burst = 4, 250
	requests := int64(10_000)
	if raceEnabled {
		requests = 2_400 // each takes ten times as long
	}
	s := startSeveral(t, scripted(t), 10*time.Second, "rate 5/s", fmt.Sprint("burst ", burst))
	began := time.Now()
	var consumers [clients]*consumer
	var oracles [clients]int64
	var all sync.WaitGroup
	for n := range consumers {
		c := &consumer{
			several: s, client: s.from(fmt.Sprintf("127.0.0.%d", 2+n)), token: tokenFor(t, "bot"),
			budget: budget{interval: (time.Second / 5).Microseconds(), burst: burst},
		}
		consumers[n] = c
		all.Go(func() { oracles[n] = c.consume(requests / clients) })
	}
	all.Wait()
	var sent, passed, oracle int64
	for n, c := range consumers {
		if c.passed.Load() != oracles[n] {
			t.Errorf("client %d: %d of %d passed, the oracle lets %d pass", n, c.passed.Load(), c.sent.Load(), oracles[n])
		}
		sent, passed, oracle = sent+c.sent.Load(), passed+c.passed.Load(), oracle+oracles[n]
	}
	t.Logf("%d requests in %v: %d passed, oracle %d, difference %d", sent, time.Since(began), passed, oracle, passed-oracle)
	if lost, _ := s.lost(); fmt.Sprint(lost) != "[0 0 0]" {
		t.Errorf("they lost Redis %v times", lost)
	}
}

func TestSeveralGatewaysOutliveRedis(t *testing.T) {
	t.Parallel()
	const burst, times = 600, 5
	s := startSeveral(t, scripted(t), time.Second, "rate 1/h", fmt.Sprint("burst ", burst))
	client, token := s.from("127.0.0.2"), tokenFor(t, "bot")
	var sent, passed, refusedInARow, slowest atomic.Int64
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for !t.Failed() {
				select {
				case <-stop:
					return
				case <-time.After(15 * time.Millisecond): // so that the budget lasts for all of the outages
				}
				began := time.Now()
				sent.Add(1)
				if s.asks(client, token) {
					passed.Add(1)
					refusedInARow.Store(0)
				} else {
					refusedInARow.Add(1)
				}
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
			}
		})
	}
	told := func(n int) {
		t.Helper()
		want := fmt.Sprint([]int{n, n, n})
		await(t, "each gateway tells once that Redis is lost, and once that it is back", func() error {
			if lost, back := s.lost(); fmt.Sprint(lost) != want || fmt.Sprint(back) != want {
				return fmt.Errorf("lost %v, back %v; want %d each", lost, back, n)
			}
			return nil
		})
	}
	for n := range times {
		time.Sleep(300 * time.Millisecond) // Redis decides for a while
		s.redis.Kill()
		time.Sleep(700 * time.Millisecond) // and each gateway alone
		s.redis.Restart()
		told(n + 1)
	}
	await(t, "the budget is spent", func() error {
		if n := refusedInARow.Load(); n < 60 {
			return fmt.Errorf("%d refused in a row", n)
		}
		return nil
	})
	close(stop)
	workers.Wait()
	t.Logf("%d sent, %d passed, oracle %d, local share %d, slowest %v", sent.Load(), passed.Load(), burst, burst/3, time.Duration(slowest.Load()))
	// a few, let pass just as Redis goes or comes, may be charged twice
	if n := passed.Load(); n < burst-burst/100 || n > burst+burst/3 {
		t.Errorf("%d passed, want the budget of %d, or up to one gateway's share more", n, burst)
	}
}

func TestSeveralGatewaysLetATokenPassOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	upstream := scripted(t)
	var all []*gateway
	for range 2 {
		all = append(all, startGatewayWith(t, upstream.Address(),
			"penalty 3 10m", "", "penalty_window 15 10m", "",
			"max_lifetime 5m", fmt.Sprintf("replay once\n store redis {\n address %s\n timeout 1s\n}", server.Address)))
	}
	token := func(id string) string {
		now := time.Now()
		return signedToken(t, jwtSecret, jwt.MapClaims{"sub": "bot", "jti": id, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()})
	}
	expect := func(what, id string, gateway, status int) {
		t.Helper()
		g := all[gateway]
		if a := g.mustPost(g.from("127.0.0.2"), token(id), chatBody("hello", false)); a.status != status {
			t.Errorf("%s: %d, want %d", what, a.status, status)
		}
	}
	expect("a token", "a", 0, 200)
	expect("the same on the other gateway", "a", 1, 403)
	expect("and again", "a", 0, 403)
	expect("another token", "b", 1, 200)
	server.Kill()
	expect("without Redis, a token that this gateway has seen", "a", 0, 403)
	expect("without Redis, a new one", "c", 0, 200)
	expect("the same there again", "c", 0, 403)
	server.Restart()
	await(t, "the first gateway has told Redis", func() error {
		if output := all[0].output.String(); !strings.Contains(output, "the memory of tokens that gateways share is back") {
			return errors.New("not yet")
		}
		return nil
	})
	expect("Redis is back with nothing, and the other gateway sees a token from before", "a", 1, 403)
	expect("and one from the outage", "c", 1, 403)
	expect("a new one", "d", 1, 200)
}
